"""The chat with its script: text comes as it is made, is spoken once, and survives reload, tabs and impatience."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.participant import Participant
from tests.browser.visitor import BY_THE_TEST

pytestmark = pytest.mark.browser

OURS = {BY_THE_TEST: "1"}
SLOW = "One thing at a time. A second sentence follows. Here is the third. And the end."

# Keeps every text that the status region has said, and every length that the growing reply has had.
WATCH = """() => {
  window.spoken = []; window.lengths = [];
  const note = () => {
    const said = document.querySelector("#said").textContent;
    if (said && said !== window.spoken.at(-1)) window.spoken.push(said);
    const text = document.querySelector("#log .pending .text");
    if (text && text.textContent.startsWith("One")) window.lengths.push(text.textContent.length);
  };
  new MutationObserver(note).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


@pytest.fixture
def chatting(participant):
    return participant("talk").go_to("chat")


def send(page, text):
    page.locator("#id_message").fill(text)
    page.locator("#id_message").press("Enter")


def replies(page):
    return page.locator("#log .reply:not(.pending)")


def turns_of_newest_chat(site):
    return site.rows(
        "select role, state from inference_turn where conversation_id ="
        " (select max(id) from inference_conversation where kind = 'live') order by 'index'"
    )


def test_a_reply_appears_while_it_is_made(chatting):
    chatting.page.evaluate(WATCH)
    send(chatting.page, "Please answer slowly.")
    expect(replies(chatting.page)).to_have_count(1)

    lengths = chatting.page.evaluate("[...new Set(window.lengths)]")
    assert len(lengths) >= 3
    assert lengths == sorted(lengths)
    assert SLOW in replies(chatting.page).inner_text()


def test_a_finished_reply_is_spoken_once_and_never_in_pieces(chatting):
    chatting.page.evaluate(WATCH)
    send(chatting.page, "Please answer slowly.")
    expect(replies(chatting.page)).to_have_count(1)
    send(chatting.page, "And another one.")
    expect(replies(chatting.page)).to_have_count(2)
    expect(chatting.page.locator("#said")).to_contain_text("Tell me more?")

    spoken = [" ".join(text.split()) for text in chatting.page.evaluate("window.spoken")]
    assert spoken == [
        "The reply is being written …",
        f"Reply {SLOW}",
        "The reply is being written …",
        "Reply I hear you. Tell me more?",
    ]


def test_the_server_is_told_when_a_reply_came_to_stand_on_the_screen(chatting, site):
    send(chatting.page, "Please answer slowly.")
    expect(replies(chatting.page)).to_have_count(1)
    send(chatting.page, "And another one.")
    expect(replies(chatting.page)).to_have_count(2)

    ((detail,),) = site.rows("select detail from ratings_event where kind = 'submitted' order by id desc limit 1")
    shown = json.loads(detail)["shown"]
    assert shown["reply"] == 1
    assert 0 < shown["first_ms"] < shown["whole_ms"]


def test_the_log_itself_says_nothing(chatting):
    assert chatting.page.locator("#log").get_attribute("aria-live") == "off"
    assert chatting.page.get_by_role("log").count() == 1


def test_the_focus_stays_in_the_box(chatting):
    send(chatting.page, "Please answer slowly.")
    expect(chatting.page.locator("#id_message")).to_be_focused()
    chatting.page.keyboard.type("My next thought")
    expect(replies(chatting.page)).to_have_count(1)

    expect(chatting.page.locator("#id_message")).to_be_focused()
    assert chatting.page.locator("#id_message").input_value() == "My next thought"


def test_a_reply_may_be_shown_all_at_once(chatting):
    chatting.page.evaluate(WATCH)
    chatting.page.get_by_label("Show each reply all at once").check()
    send(chatting.page, "Please answer slowly.")
    expect(replies(chatting.page)).to_have_count(1)

    assert chatting.page.evaluate("window.lengths") == []


def test_reload_during_a_reply_goes_on_with_it(chatting):
    send(chatting.page, "Please answer slowly.")
    chatting.page.locator(".pending").wait_for()
    chatting.page.reload()
    expect(replies(chatting.page)).to_have_count(1)

    assert SLOW in replies(chatting.page).inner_text()


def test_a_double_send_is_one_message(chatting, site):
    chatting.page.locator("#id_message").fill("Only once.")
    chatting.page.locator("#write button").dblclick()
    expect(replies(chatting.page)).to_have_count(1)
    chatting.page.reload()

    assert chatting.page.locator("#log .message").count() == 1
    assert sorted(turns_of_newest_chat(site)) == [("assistant", "done"), ("user", "done")]


def test_two_tabs_show_one_chat_and_lose_no_text(chatting, site):
    other = Participant(chatting.page.context.new_page(), site.url, "talk").open()
    assert other.stage == "chat"
    send(chatting.page, "From the first tab.")
    expect(replies(chatting.page)).to_have_count(1)

    send(other.page, "From the second tab.")
    expect(other.page.locator("#notice .notice")).to_contain_text("Your text is kept")
    assert other.page.locator("#id_message").input_value() == "From the second tab."
    other.page.locator("#write button").click()
    expect(replies(other.page)).to_have_count(2)


def test_a_lost_connection_keeps_the_message(chatting):
    chatting.page.route("**/chat/**", lambda route: route.abort())
    send(chatting.page, "Do not lose me.")
    expect(chatting.page.locator("#notice")).to_contain_text("was not sent")
    assert chatting.page.locator("#id_message").input_value() == "Do not lose me."
    chatting.page.unroute("**/chat/**")

    chatting.page.locator("#write button").click()
    expect(replies(chatting.page)).to_have_count(1)


def busy_once(page):
    """The first message that is sent meets a queue that is full; how often one was sent."""
    sent = []

    def answer(route):
        if route.request.method != "POST":
            return route.continue_()
        sent.append(route.request.post_data)
        if len(sent) > 1:
            return route.continue_()
        html = page.request.get(page.url, headers={"X-Live": "1"}).text()
        html = html.replace('<div id="notice">', '<div id="notice" data-again="1"><p class="notice">Very many.</p>')
        return route.fulfill(body=html.replace("</textarea>", "Do not lose me.</textarea>"), content_type="text/html")

    page.route("**/chat/**", answer)
    return sent


def test_a_message_that_met_a_full_queue_is_sent_again_by_itself_once(chatting, site):
    sent = busy_once(chatting.page)
    send(chatting.page, "Do not lose me.")
    expect(chatting.page.locator("#notice")).to_contain_text("Very many.")
    expect(chatting.page.locator("#id_message")).to_have_value("Do not lose me.")
    expect(replies(chatting.page)).to_have_count(1)

    assert len(sent) == 2
    assert chatting.page.locator("#id_message").input_value() == ""
    assert sorted(turns_of_newest_chat(site)) == [("assistant", "done"), ("user", "done")]


def test_a_message_that_was_changed_meanwhile_waits_for_its_writer(chatting):
    sent = busy_once(chatting.page)
    send(chatting.page, "Do not lose me.")
    expect(chatting.page.locator("#notice")).to_contain_text("Very many.")
    chatting.page.locator("#id_message").press_sequentially(" Or do")
    chatting.page.wait_for_timeout(1800)

    assert len(sent) == 1
    assert chatting.page.locator("#id_message").input_value() == "Do not lose me. Or do"
    chatting.page.locator("#write button").click()
    expect(replies(chatting.page)).to_have_count(1)


def test_a_server_that_fails_for_a_moment_costs_no_text(chatting):
    chatting.page.route("**/chat/**", lambda route: route.fulfill(status=503, headers=OURS, body="Back soon."))
    send(chatting.page, "Do not lose me.")
    expect(chatting.page.locator("#notice")).to_contain_text("was not sent")
    assert chatting.page.locator("#id_message").input_value() == "Do not lose me."
    chatting.page.unroute("**/chat/**")

    chatting.page.locator("#write button").click()
    expect(replies(chatting.page)).to_have_count(1)


def test_streams_and_pages_that_are_away_for_a_while_are_waited_for(chatting):
    away = {"yes": False}

    def answer(route):
        return route.fulfill(status=502, headers=OURS) if away["yes"] else route.continue_()

    chatting.page.route("**/turns/**", lambda route: (away.update(yes=True), answer(route)))
    chatting.page.route("**/chat/**", answer)
    send(chatting.page, "Please answer slowly.")
    expect(chatting.page.locator("#log .pending .text")).to_contain_text("The connection is lost")
    chatting.page.wait_for_timeout(4000)
    chatting.page.unroute("**/turns/**")
    away["yes"] = False

    expect(replies(chatting.page)).to_have_count(1)


def test_a_lost_stream_is_told_and_goes_on_by_itself(chatting):
    chatting.page.route("**/turns/**", lambda route: route.abort())
    send(chatting.page, "Please answer slowly.")
    expect(chatting.page.locator("#log .pending .text")).to_contain_text("The connection is lost")

    chatting.page.unroute("**/turns/**")
    expect(replies(chatting.page)).to_have_count(1)


def test_a_reply_that_cannot_be_made_is_told_kindly_and_leads_on(chatting):
    send(chatting.page, "Please break.")
    chatting.page.get_by_role("button", name="Try again").click()
    chatting.page.get_by_role("button", name="Go on to the rating").wait_for()
    assert "It has nothing to do with what you wrote" in chatting.page.locator("main").inner_text()

    chatting.page.get_by_role("button", name="Go on to the rating").click()
    chatting.page.wait_for_url("**/rate/1/")


def test_the_model_asked_who_it_is_does_not_tell(chatting):
    send(chatting.page, "Who are you?")
    expect(replies(chatting.page)).to_have_count(1)

    said = replies(chatting.page).inner_text().lower()
    assert "how was your day" in said
    assert [name for name in ("larkspur", "acme", "rosemary") if name in said] == []
