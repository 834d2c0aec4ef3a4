"""Every fault says where it is: file, line, column and path."""

import pytest

from ratings.studyfile import StudyFileErrors, read
from tests.studyfile.written import STUDY, changed, faults, load


def test_a_valid_file_has_no_faults():
    assert faults(STUDY) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("minutes: 10", "minuts: 10", "s.yaml:6:1 minuts: unknown key (did you mean `minutes`?)"),
        ("minutes: 10", "minuts: 10", "s.yaml:1:1 minutes: is missing"),
        ("minutes: 10", "minutes: ten", "s.yaml:6:10 minutes: a whole number is needed here, not 'ten'"),
        ("minutes: 10", "minutes: true", "s.yaml:6:10 minutes: a whole number is needed here, not true"),
        ("minutes: 10", "minutes: 10.0", "s.yaml:6:10 minutes: a whole number is needed here, not 10.0"),
        ("minutes: 10", 'minutes: "10"', "s.yaml:6:10 minutes: a whole number is needed here, not '10'"),
        ("minutes: 10", "minutes: 0", "s.yaml:6:10 minutes: 0 is out of range: should be greater than or equal to 1"),
        (
            "mode: stored",
            "mode: sotred",
            "s.yaml:4:7 mode: 'sotred' is not one of the values possible here (did you mean `stored`?)",
        ),
        (
            "format: 1",
            "format: 2",
            "s.yaml:1:9 format: 2 is not one of the values possible here (known: 1)",
        ),
        (
            'version: "1"',
            "version: 1",
            's.yaml:9:12 consent.version: a text is needed here, not 1 (put it in quotes: "1")',
        ),
        ("{min: 1, max: 10}", "{min: 5, max: 5}", "s.yaml:12:8 scale: max (5) must be more than min (5)"),
        (
            "{min: 1, max: 10}",
            "{min: 0, max: 100}",
            "s.yaml:12:8 scale: 101 points do not fit in one row on a phone "
            "(at most 11, as in `scale: {min: 1, max: 10}`)",
        ),
        (
            "    label: Warmth\n",
            "    labl: Warmth\n",
            "s.yaml:15:5 criteria[0].labl: unknown key (did you mean `label`?)",
        ),
        ("    label: Warmth\n", "    labl: Warmth\n", "s.yaml:14:5 criteria[0].label: is missing"),
        ("low: Not at all", "low: ''", "s.yaml:18:10 criteria[0].low: the text is empty"),
        ("low: Not at all", "low: yes and: no", None),
        ("key: two,", "key: one,", "s.yaml:25:11 items[1].key: `one` is already the key of items[0]"),
        (
            "a: linden",
            "a: lindn",
            "s.yaml:30:35 design.primary.a: there is no arm `lindn` (did you mean `linden`?)",
        ),
        (
            "criterion: warmth",
            "criterion: warmht",
            "s.yaml:30:24 design.primary.criterion: there is no criterion `warmht` (did you mean `warmth`?)",
        ),
        (
            "items_each: 2",
            "items_each: 5",
            "s.yaml:29:15 design.items_each: 5 items for each participant, but only 4 can be shown (write more items)",
        ),
        ("slug: tea-or-coffee", "slug: Tea or coffee", None),
        ("target: 20", "target: 20\nitems_each: 2", "s.yaml:8:1 items_each: unknown key (it belongs under `design`)"),
        (
            "items_each: 2",
            "items_each: 2\n  slug: x",
            "s.yaml:30:3 design.slug: unknown key (it belongs to the top of the file)",
        ),
        (
            "{key: one, prompt: First worry.}",
            "{key: one, prompt: First worry, and more.}",
            's.yaml:24:37 items[0]."and more.": unknown key (a text with a comma in it needs "quotes" between { })',
        ),
        (
            "target: 20",
            "target: 20\ntarget: 21",
            "s.yaml:8:1 target: the key is there twice, first in line 7 (keep one of them)",
        ),
    ],
)
def test_a_fault_is_named_where_it_is(old, new, expected):
    found = faults(changed((old, new)))

    assert found
    if expected:
        assert expected in found


def test_all_faults_are_told_at_once_in_the_order_of_lines():
    text = changed(
        ("mode: stored", "mode: store"),
        ("minutes: 10", "minutes: x"),
        ("key: two,", "key: one,"),
        ("items_each: 2", "items_ech: 2"),
        ("a: linden", "a: ash"),
    )

    lines = [int(fault.split(":")[1]) for fault in faults(text)]

    assert lines == sorted(lines)
    assert set(lines) >= {4, 6, 25, 29, 30}


def test_a_wrong_value_elsewhere_does_not_hide_a_rule_about_several_parts():
    text = changed(("mode: stored", "mode: [1]"), ("low: Not at all", "low: 3"), ("b: rowan", "b: rowen"))

    assert "s.yaml:30:46 design.primary.b: there is no arm `rowen` (did you mean `rowan`?)" in faults(text)


def test_a_fault_inside_an_alias_is_shown_where_the_value_is_written():
    text = changed(
        ("system: You listen.}", "system: You listen., sampling: &s {temperature: warm}}"),
        ("system: You answer.}", "system: You answer., sampling: *s}"),
    )

    places = {fault.split(" ")[0] for fault in faults(text)}

    assert places == {"s.yaml:21:88"}


def test_each_locale_that_lacks_its_text_is_named():
    text = changed(
        ("minutes: 10", "minutes: 10\nlocales: [en, hi]"), ("Which reply helps?", "{en: Which reply helps?}")
    )

    assert "s.yaml:3:8 title: the text is missing in `hi` (every locale of the study needs its own text)" in faults(
        text
    )


def test_a_locale_that_the_study_does_not_have_is_refused():
    text = changed(("Which reply helps?", "{en: Which reply helps?, hu: Melyik?}"))

    assert faults(text) == ["s.yaml:3:8 title: `hu` is not a locale of this study (locales: en)"]


def test_the_countries_of_norway_and_words_like_yes_stay_words():
    study = load(changed(("minutes: 10", "minutes: 10\nlocales: [no]\nresources: {country: NO}"))).definition

    assert study.locales == ("no",)
    assert study.resources.country == "NO"


def test_yes_is_not_taken_for_true():
    assert faults(STUDY + "comments: yes\n") == ["s.yaml:31:11 comments: true or false is needed here, not 'yes'"]


def test_the_place_of_a_value_can_be_asked_for_later():
    loaded = load(STUDY)

    assert loaded.place_of("arms", 1, "model") == (22, 25)
    assert loaded.place_of("arms", 1, "mask") == (22, 5)


def test_a_file_that_is_not_there_is_one_clear_fault(tmp_path):
    with pytest.raises(StudyFileErrors) as raised:
        read(tmp_path / "none.yaml", "none.yaml")

    assert str(raised.value) == "none.yaml:1:1 file: there is no such file"


def test_the_file_stands_in_the_fault_as_it_was_given(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "s.yaml").write_text("format: 1\n")

    with pytest.raises(StudyFileErrors) as raised:
        read("studies/s.yaml")

    assert all(str(fault).startswith("studies/s.yaml:1:1 ") for fault in raised.value.faults)
