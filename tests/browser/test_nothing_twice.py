"""Back, forward, impatient clicks, two tabs, lost connections: one rating each, and nothing lost."""

import pytest
from playwright.sync_api import Error

from tests.browser.participant import Participant

pytestmark = pytest.mark.browser

UNHURRIED = 4_500  # milliseconds; a quicker page is asked about once more

RATINGS = """
    select assignment.position, criterion.key, rating.value, count(*)
    from ratings_rating rating
    join ratings_criterion criterion on criterion.id = rating.criterion_id
    join ratings_exposure exposure on exposure.id = rating.exposure_id
    join ratings_assignment assignment on assignment.id = exposure.assignment_id
    where assignment.visit_id = (select max(id) from ratings_visit)
    group by 1, 2 order by 1, 2"""


@pytest.fixture
def ratings(site):
    """What is stored of the newest visit: (position, criterion, value, rows)."""
    return lambda: site.rows(RATINGS)


@pytest.fixture
def person(participant):
    return participant().go_to("rate")


def of(position: int, empathy: int, fluency: int) -> list[tuple]:
    return [(position, "empathy_support", empathy, 1), (position, "fluency_quality", fluency, 1)]


def test_back_and_forward_keep_each_rating_once(person, ratings):
    person.rate(7, 4)
    person.page.wait_for_timeout(UNHURRIED)
    person.press()
    person.rate(6, 5)
    person.page.wait_for_timeout(UNHURRIED)
    person.press()

    person.page.go_back()
    assert person.position == 2
    assert person.page.locator("input[name=empathy_support]:checked").get_attribute("value") == "6"
    person.page.go_back()
    assert person.position == 1
    person.page.go_forward()
    person.page.go_forward()
    person.page.reload()

    assert person.position == 3
    assert ratings() == [*of(1, 7, 4), *of(2, 6, 5)]


def test_an_old_page_sent_again_changes_nothing_and_says_so(person, ratings):
    address = person.page.url
    hidden = {field.get_attribute("name"): field.input_value() for field in person.page.locator("[type=hidden]").all()}
    person.rate(7, 4)
    person.save()

    answer = person.page.context.request.post(
        address,
        form=hidden | {"empathy_support": "1", "fluency_quality": "1", "action": "next"},
        headers={"Referer": address},
    )

    assert "already been sent" in answer.text()
    assert ratings() == of(1, 7, 4)


def test_a_rating_is_changed_by_the_pages_own_back_button(person, ratings):
    person.rate(7, 4)
    person.save()
    person.press("back")
    assert person.page.locator("input[name=empathy_support]:checked").get_attribute("value") == "7"
    person.choose("empathy_support", 2)
    person.press()

    assert person.position == 2
    assert ratings() == of(1, 2, 4)


def test_a_double_click_saves_once(person, ratings):
    person.rate(7, 4)
    person.press()
    person.page.locator("main button[value=next]").dblclick()
    person.page.wait_for_url("**/rate/2/**")

    assert ratings() == of(1, 7, 4)


def test_two_tabs_are_one_visit(person, site, ratings):
    other = Participant(person.page.context.new_page(), site.url, "view").open()
    assert other.position == 1
    person.rate(7, 4)
    person.save()

    other.rate(2, 2)
    other.press()

    assert other.position == 2
    assert other.page.locator(".notice[role=status]").count() == 1
    assert ratings() == of(1, 7, 4)


def test_a_connection_lost_before_the_answer_left_costs_at_most_that_page(person, ratings):
    person.rate(7, 4)
    person.save()
    person.page.context.set_offline(True)
    person.rate(5, 5)
    with pytest.raises(Error):
        person.press()
    person.page.context.set_offline(False)

    person.open()

    assert person.position == 2
    assert ratings() == of(1, 7, 4)


def test_a_connection_lost_after_the_answer_arrived_costs_nothing(person, ratings):
    person.rate(7, 4)
    person.press()  # now it may be as quick as it likes

    def arrives_and_is_lost(route):
        if route.request.method == "POST":
            route.fetch(max_redirects=0)
            route.abort("connectionreset")
        else:
            route.continue_()

    person.page.route("**/rate/**", arrives_and_is_lost)
    with pytest.raises(Error):
        person.press()
    person.page.unroute("**/rate/**")

    person.open()

    assert person.position == 2
    assert ratings() == of(1, 7, 4)
