from django.urls import path

from ratings.desk import codes, editing, live, operations, preview, recruiting, studies

app_name = "desk"

# No slug begins with a hyphen, so that what lies under "-/" is never taken for a study.
urlpatterns = [
    path("", studies.index, name="studies"),
    path("-/new/", editing.new, name="upload"),
    path("-/models/", operations.models, name="operations"),
    path("-/check/", editing.check, name="check"),
    path("-/schema.json", editing.schema, name="schema"),
    path("<slug:slug>/", studies.overview, name="study"),
    path("<slug:slug>/publish/", studies.publish, name="publish"),
    path("<slug:slug>/move/<slug:state>/", studies.move, name="move"),
    path("<slug:slug>/edit/", editing.edit, name="edit"),
    path("<slug:slug>/discard/", editing.discard, name="discard"),
    path("<slug:slug>/versions/<int:number>/study.yaml", editing.download, name="download"),
    path("<slug:slug>/preview/", preview.frames, name="preview"),
    path("<slug:slug>/preview/<slug:stage>/", preview.page, name="preview_page"),
    path("<slug:slug>/pilot/", recruiting.pilot_yourself, name="pilot_yourself"),
    path("<slug:slug>/invitations/", recruiting.invitations, name="invitations"),
    path("<slug:slug>/invitations/links.csv", recruiting.links_csv, name="links_csv"),
    path("<slug:slug>/invitations/sheet/", recruiting.qr_sheet, name="qr_sheet"),
    path("<slug:slug>/codes/", codes.codes, name="codes"),
    path("<slug:slug>/live/", live.live, name="live"),
    path("<slug:slug>/retry/", live.retry, name="retry"),
]
