from django.urls import path

from ratings.path.chat import chat
from ratings.path.consent import consent
from ratings.path.eligibility import eligibility
from ratings.path.ends import debrief, declined, ended
from ratings.path.entry import again, entry, invitation, return_by_code
from ratings.path.events import events
from ratings.path.exit_questions import exit_questions
from ratings.path.help import help_now
from ratings.path.instructions import instructions
from ratings.path.leaving import by_code, leave, receipt
from ratings.path.practice import practice
from ratings.path.rate import rate

app_name = "path"
urlpatterns = [
    path("i/<str:token>", invitation),
    path("i/<str:token>/", invitation, name="invitation"),
    path("s/<slug:slug>/", entry, name="entry"),
    path("s/<slug:slug>/return/", return_by_code, name="return"),
    path("s/<slug:slug>/leave/", leave, name="leave"),
    path("s/<slug:slug>/eligibility/", eligibility, name="eligibility"),
    path("s/<slug:slug>/consent/", consent, name="consent"),
    path("s/<slug:slug>/instructions/", instructions, name="instructions"),
    path("s/<slug:slug>/practice/", practice, name="practice"),
    path("s/<slug:slug>/chat/<int:position>/", chat, name="chat"),
    path("s/<slug:slug>/turns/<str:code>/events", events, name="events"),
    path("s/<slug:slug>/rate/<int:position>/", rate, name="rate"),
    path("s/<slug:slug>/exit/", exit_questions, name="exit"),
    path("s/<slug:slug>/debrief/", debrief, name="debrief"),
    path("s/<slug:slug>/declined/", declined, name="declined"),
    path("s/<slug:slug>/again/", again, name="again"),
    path("s/<slug:slug>/ended/", ended, name="ended"),
    path("help/", help_now, name="help"),
    path("withdraw/", by_code, name="withdraw"),
    path("withdraw/<slug:receipt>/", receipt, name="receipt"),
]
