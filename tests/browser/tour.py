"""A walk past every page that a participant can meet, also those that nobody hopes to meet."""

from collections.abc import Callable

from tests.browser.looks import Looker, Seen
from tests.browser.participant import Participant

Arrive = Callable[..., Participant]


def of_stored_replies(arrive: Arrive) -> list[Seen]:
    person = arrive("view")
    page, look = person.page, Looker(person.page)
    person.open()
    look("entry")
    person.press()
    look("eligibility")
    person.press()
    look("eligibility-error")
    person.step()
    look("consent")
    person.press()
    look("consent-error")
    person.step()
    look("instructions")
    person.press()
    look("practice")
    person.press()
    look("practice-error")
    person.step()
    look("practice-feedback")
    person.press()
    look("rate")
    person.press()
    look("rate-error")
    person.step()
    # At once, so that it is too quick.
    person.step()
    person.rate()
    person.press()
    look("rate-quick")
    person.press("back")
    look("rate-again")
    person.go_to("exit")
    look("exit")
    person.press("finish")
    look("exit-error")
    person.open("leave/")
    look("leave")
    person.press("delete")
    look("delete")
    person.go_to("debrief")
    look("debrief")
    person.choose("feeling_now", "not_good")
    person.press()
    look("debrief-low")
    person.open("leave/")
    look("leave-after-the-end")
    person.press("delete")
    person.press("delete")
    look("receipt")
    page.goto(f"{person.root}../../help/?study=view")
    look("help")
    page.goto(f"{person.root}../../help/?country=US")
    look("help-country")
    return look.seen


def of_ends(arrive: Arrive) -> list[Seen]:
    person = arrive("view")
    look = Looker(person.page)
    person.go_to("eligibility").press("decline")
    look("declined")
    person.press()
    person.go_to("eligibility").choose("adult", "no")
    person.press()
    look("ended-screened-out")
    person = arrive("view")
    look.page = person.page
    person.go_to("instructions").open("leave/")
    person.press("leave")
    look("ended-withdrew")
    return look.seen


def of_errors(arrive: Arrive) -> list[Seen]:
    person = arrive("view")
    page, look = person.page, Looker(person.page)
    for name, address in {
        "return": "/s/view/return/",
        "withdraw": "/withdraw/",
        "not-found": "/s/nowhere/",
        "unknown-invitation": "/i/nonsense/",
        "not-open": "/s/view-paused/",
        "preparing": "/s/talk-preparing/",
        "no-receipt": "/withdraw/nonsense/",
    }.items():
        page.goto(address)
        look(name)
    for name in ("return", "withdraw"):
        page.goto("/s/view/return/" if name == "return" else "/withdraw/")
        page.locator("#id_code").fill("AAAA-BBBB")
        person.press()
        look(f"{name}-error")
    person.open()
    page.context.clear_cookies()
    person.press()
    look("csrf")
    return look.seen


def of_a_chat(arrive: Arrive) -> list[Seen]:
    person = arrive("talk")
    page, look = person.page, Looker(person.page)
    person.go_to("chat")
    look("chat")
    page.locator("#write button").click()
    page.locator("#notice .errors").wait_for()
    look("chat-error")
    page.locator("#id_message").fill("Please answer slowly.")
    page.locator("#write button").click()
    page.locator(".pending").wait_for()
    look("chat-pending")
    page.locator(".pending").wait_for(state="detached")
    look("chat-answered")
    for _ in range(2):
        person.write()
    look("chat-full")
    person.press()
    look("chat-rate")
    person.step()
    page.locator("#id_message").fill("Please break.")
    page.locator("#write button").click()
    page.locator("#after button[value=again]").wait_for()
    look("chat-failed")
    person.open("leave/")
    person.press("leave")
    look("ended-technical")
    return look.seen
