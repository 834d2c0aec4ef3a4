from django.contrib import messages
from django.contrib.auth.views import PasswordChangeView
from django.urls import reverse_lazy


class ChangePassword(PasswordChangeView):
    template_name = "accounts/change_password.html"
    success_url = reverse_lazy("desk:studies")

    def form_valid(self, form):
        form.user.must_change_password = False
        messages.success(self.request, "Your password is changed.")
        return super().form_valid(form)
