from django.contrib import messages
from django.contrib.auth.views import LoginView, PasswordChangeView
from django.urls import reverse_lazy

from accounts.models import AuditEntry


class Login(LoginView):
    template_name = "accounts/login.html"

    def form_valid(self, form):
        AuditEntry.objects.record(form.get_user(), "login")
        return super().form_valid(form)


class ChangePassword(PasswordChangeView):
    template_name = "accounts/change_password.html"
    success_url = reverse_lazy("desk:studies")

    def form_valid(self, form):
        form.user.must_change_password = False
        messages.success(self.request, "Your password is changed.")
        return super().form_valid(form)
