from django.contrib.auth.views import LogoutView
from django.urls import path

from accounts.views import ChangePassword, Login

app_name = "accounts"

urlpatterns = [
    path("login/", Login.as_view(), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("password/", ChangePassword.as_view(), name="change_password"),
]
