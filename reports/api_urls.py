from django.urls import path
from drf_spectacular.views import SpectacularAPIView

from reports import api

app_name = "api"

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("studies/", api.Studies.as_view(), name="studies"),
    path("studies/<slug:slug>/", api.OneStudy.as_view(), name="study"),
    path("studies/<slug:slug>/versions/", api.Versions.as_view(), name="versions"),
    path("studies/<slug:slug>/participants/", api.Participants.as_view(), name="participants"),
    path("studies/<slug:slug>/ratings/", api.Ratings.as_view(), name="ratings"),
    path("studies/<slug:slug>/report/", api.Report.as_view(), name="report"),
]
