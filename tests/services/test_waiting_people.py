"""What somebody with a phone sees while something is down in production: the truth, and it goes on by itself.

SCREENS=FOLDER keeps pictures; AWAY=60 makes what is away stay away for a minute.
"""

import os
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import chromium  # noqa: F401
from tests.browser.participant import Participant
from tests.services.conftest import free_port, served_at, wait_until
from tests.services.supervisor import Supervisor

pytestmark = pytest.mark.services

AWAY = float(os.environ.get("AWAY", "4"))  # seconds
SCREENS = os.environ.get("SCREENS")
STEP = 0.3  # seconds for each token of a reply, so that there is a middle


def picture(page: Page, name: str) -> None:
    if SCREENS:
        page.screenshot(path=Path(SCREENS) / f"{name}.png")


@pytest.fixture(scope="module")
def site(talk):
    with Supervisor(talk) as supervisor, talk.clock():
        supervisor.worker("only", step=STEP)
        port = str(free_port())
        pages = supervisor.pages("pages", port)
        streams = supervisor.streams("streams")
        for address in (pages, streams):
            served_at(address.rpartition(":")[2])
        wait_until(talk.is_ready, 60)
        yield supervisor, pages, streams


@pytest.fixture
def page(site, chromium):  # noqa: F811
    """Somebody who has just been asked to write; the proxy's work, one address for pages and streams, is done here."""
    _, pages, streams = site
    context = chromium.new_context(viewport={"width": 390, "height": 780}, base_url=pages)
    context.set_default_timeout(20_000)
    context.route("**/turns/**", lambda route: route.continue_(url=route.request.url.replace(pages, streams)))
    person = Participant(context.new_page(), pages, "talk").go_to("chat")
    yield person.page
    context.close()


def send(page: Page, text: str) -> None:
    page.locator("#id_message").fill(text)
    page.locator("#write button").click()


def text_of_reply(page: Page):
    return page.locator("#log .pending .text")


def has_begun(talk) -> None:
    wait_until(lambda: talk.turns("running"))
    time.sleep(1)


def ends_by_itself(page: Page, name: str) -> None:
    expect(page.locator("#log .reply:not(.pending)")).to_have_count(1, timeout=60_000)
    picture(page, f"{name}-3-end")
    assert page.locator("#log .message").count() == 1
    assert page.locator("#id_message").input_value() == ""


def test_a_worker_that_is_killed_is_waited_for(site, page, talk):
    supervisor, *_ = site
    send(page, "I cannot sleep.")
    has_begun(talk)
    picture(page, "killed-1-before")
    supervisor.stop("only")
    page.wait_for_timeout(AWAY * 1000)
    picture(page, "killed-2-meanwhile")
    expect(text_of_reply(page)).to_be_visible()
    supervisor.restart("only")

    ends_by_itself(page, "killed")


def test_a_worker_that_is_away_before_the_reply_begins_is_waited_for(site, page, talk):
    supervisor, *_ = site
    wait_until(talk.is_ready, 60)
    supervisor.stop("only")
    send(page, "I cannot sleep.")
    page.wait_for_timeout(AWAY * 1000)
    picture(page, "absent-2-meanwhile")
    expect(text_of_reply(page)).to_be_visible()
    supervisor.restart("only")

    ends_by_itself(page, "absent")


def test_a_reply_goes_on_while_redis_is_away(site, page, talk, redis_server):
    wait_until(talk.is_ready, 60)
    send(page, "I cannot sleep.")
    has_begun(talk)
    picture(page, "redis-1-before")
    redis_server.kill()
    until = time.monotonic() + AWAY
    page.wait_for_timeout(min(AWAY, 3) * 1000)
    picture(page, "redis-2-meanwhile")
    page.wait_for_timeout(max(0, until - time.monotonic()) * 1000)
    picture(page, "redis-2-later")
    redis_server.start()

    ends_by_itself(page, "redis")


def test_a_message_that_is_sent_while_redis_is_away_is_answered(site, page, talk, redis_server):
    wait_until(talk.is_ready, 60)
    redis_server.kill()
    send(page, "I cannot sleep.")
    page.wait_for_timeout(AWAY * 1000)
    picture(page, "sent-2-meanwhile")
    redis_server.start()

    ends_by_itself(page, "sent")
