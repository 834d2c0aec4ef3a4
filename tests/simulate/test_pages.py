"""How a bot sees a page."""

from ratings.simulate.pages import read

RATING = """
<body data-stage="rate"><header><form method="post"><button name="action" value="no">x</button></form></header>
<main><p>Three short words</p><form method="post">
<fieldset><input type="radio" name="empathy" value="1"><input type="radio" name="empathy" value="2" checked></fieldset>
<fieldset data-check="check-4"><input type="radio" name="check-4" value="3"></fieldset>
<input type="checkbox" name="consent_quotes"><textarea name="comment">a &amp; b</textarea>
<input type="hidden" name="page" value="signed"><button name="action" value="next">Next</button>
<button name="action" value="back">Back</button></form></main></body>
"""


def test_it_knows_its_stage_and_the_position_in_its_address():
    page = read("http://here/s/small/rate/3/", RATING)

    assert (page.stage, page.position, page.outcome) == ("rate", 3, "")


def test_an_end_page_tells_its_outcome_and_code():
    page = read(
        "/s/small/debrief/", '<body data-stage="debrief" data-outcome="completed" data-completion-code="K7QM-3X">'
    )

    assert (page.outcome, page.completion_code, page.position) == ("completed", "K7QM-3X", 0)


def test_radios_of_one_name_are_one_field():
    scale = read("/", RATING).forms[0].fields["empathy"]

    assert (scale.kind, scale.options, scale.given, scale.is_check) == ("radio", ["1", "2"], ["2"], False)


def test_an_attention_check_is_recognised():
    assert [name for name, field in read("/", RATING).forms[0].of_kind("radio").items() if field.is_check] == [
        "check-4"
    ]


def test_ticks_texts_and_hidden_fields_keep_what_they_hold():
    fields = read("/", RATING).forms[0].fields

    assert (fields["consent_quotes"].options, fields["consent_quotes"].given) == (["on"], [])
    assert fields["comment"].given == ["a & b"]
    assert fields["page"].given == ["signed"]


def test_a_form_is_found_by_its_button_and_only_in_main():
    page = read("/", RATING)

    assert page.form_to("back") is page.form_with("empathy") is page.forms[0]
    assert page.form_to("no") is None


def test_words_are_those_of_the_page_not_of_its_fields():
    assert read("/", RATING).words == len(["Three", "short", "words", "Next", "Back"])
