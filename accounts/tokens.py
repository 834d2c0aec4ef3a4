"""`Authorization: Bearer TOKEN` for the API."""

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed

from accounts.models import ApiToken


class TokenAuthentication(BaseAuthentication):
    def authenticate(self, request):
        scheme, _, token = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        found = ApiToken.objects.find(token.strip())
        if found is None:
            raise AuthenticationFailed("This token is not known or no longer valid. Make one with create_token.")
        return found.user, found

    def authenticate_header(self, request) -> str:
        return "Bearer"
