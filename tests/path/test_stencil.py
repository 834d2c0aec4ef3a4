"""A page from the stencil is the page that the template makes, and holds nothing of whoever came before."""

import re

import pytest
from django.utils.safestring import mark_safe

from ratings.path import rate
from ratings.path.stencil import Stencil
from tests.factories import published_study
from tests.path.person import Person

CODE = re.compile(r'<strong class="code">([^<]+)<')
OF_ONE_PERSON = re.compile(r'name="(?:page|csrfmiddlewaretoken)" value="[^"]*"')


@pytest.fixture
def greeting(tmp_path, settings):
    (tmp_path / "greeting.html").write_text("{{ greeting }}, {{ name }}! {{ name }}, {{ place|default:'here' }}.")
    templates = [settings.TEMPLATES[0] | {"DIRS": [tmp_path]}]
    settings.TEMPLATES = templates
    return lambda *holes: Stencil("greeting.html", {"greeting": "Hello"}, *holes)


def test_holes_are_filled_wherever_they_are(greeting):
    stencil = greeting("name")

    assert stencil.fill(name="Ada") == "Hello, Ada! Ada, here."
    assert stencil.fill(name="Bo") == "Hello, Bo! Bo, here."


def test_what_fills_a_hole_is_escaped_but_for_what_is_html(greeting):
    assert greeting("name").fill(name="<b>") == "Hello, &lt;b&gt;! &lt;b&gt;, here."
    assert greeting("name").fill(name=mark_safe("<b>")) == "Hello, <b>! <b>, here."


def test_a_hole_that_is_left_out_is_an_error(greeting):
    with pytest.raises(KeyError):
        greeting("name", "place").fill(name="Ada")


@pytest.mark.parametrize("position", [1, 2, 3])
def test_the_page_is_what_the_template_makes(person, position, monkeypatch):
    person.go_to("rate")
    for _ in range(position - 1):
        person.rate()
    address = f"/s/small-study/rate/{position}/"
    stencilled = person.client.get(address).content.decode()
    # A question in the address is beyond the stencil.
    plain = person.client.get(f"{address}?notice=none").content.decode()

    assert OF_ONE_PERSON.sub("", stencilled) == OF_ONE_PERSON.sub("", plain)
    assert len(OF_ONE_PERSON.findall(stencilled)) == 2


def test_two_people_share_a_stencil_and_nothing_of_each_other(study):
    rate._stencil.cache_clear()
    people = [Person(study) for _ in range(2)]
    pages = [each.go_to("rate") for each in people]

    codes, tokens = zip(*((CODE.search(page.html)[1], page.hidden["page"]) for page in pages), strict=True)
    assert codes[0] != codes[1]
    assert tokens[0] != tokens[1]
    for page, other in zip(pages, reversed(codes), strict=True):
        assert other not in page.html


def test_a_mended_text_has_a_stencil_of_its_own(study):
    Person(study).go_to("rate")
    second = published_study(study.owner, title="Another title")
    page = Person(second).go_to("rate")

    assert "Another title" in page.html
