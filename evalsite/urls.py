from django.urls import include, path
from django.views.generic import RedirectView

from evalsite import health

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="desk:studies")),
    path("healthz", health.alive, name="healthz"),
    path("readyz", health.ready, name="readyz"),
    path("accounts/", include("accounts.urls")),
    path("studies/", include("ratings.desk.urls")),
    path("studies/", include("reports.urls")),
    path("api/v1/", include("reports.api_urls")),
    path("", include("ratings.path.urls")),
]

handler400 = "evalsite.errors.bad_request"
handler403 = "evalsite.errors.forbidden"
handler404 = "evalsite.errors.not_found"
handler500 = "evalsite.errors.server_error"
