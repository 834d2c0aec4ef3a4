from django.urls import path

from reports import planning, views

app_name = "reports"

urlpatterns = [
    path("-/plan/", planning.plan_page, name="plan"),
    path("<slug:slug>/report/", views.report, name="report"),
    path("<slug:slug>/report/open/", views.open_early, name="open_early"),
    path("<slug:slug>/export/", views.export, name="export"),
]
