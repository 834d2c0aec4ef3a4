"""Text that is no study file, by accident or on purpose, is refused with one fault and no fuss."""

import pytest

from ratings.studyfile import yamltext
from tests.studyfile.written import STUDY, changed, faults, load


def billion_laughs() -> bytes:
    lines = [b"l0: &l0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    for level in range(1, 12):
        aliases = b", ".join([b"*l%d" % (level - 1)] * 9)
        lines.append(b"l%d: &l%d [%s]" % (level, level, aliases))
    return b"\n".join(lines)


@pytest.mark.parametrize(
    ("source", "place", "words"),
    [
        (b"", "1:1", "the file is empty"),
        (b"# only a comment\n", "1:1", "the file is empty"),
        (b"- a\n- list\n", "1:1", "a study file is a block of keys"),
        (b"just words", "1:1", "a study file is a block of keys"),
        (b"format: 1\nscale:\n\tmin: 1\n", "3:1", "a tab stands where YAML wants spaces"),
        (b"format: 1\n---\nformat: 1\n", "2:1", "a second document begins here"),
        (b"title: a: b\n", "1:9", "a colon followed by a space"),
        (b'slug: x\ntitle: "open\nmode: stored\n', "2:8", "a quoted text is not closed"),
        (b"locales: [en\nslug: x\n", "2:5", "opened in line 1 does not end well"),
        (b"scale:\n  min: 1\n max: 2\n", "3:2", "this line does not fit the lines above it"),
        (b"title: *nothing\n", "1:8", "names nothing"),
        (b"title: &a [*a]\n", "1:12", "stands inside itself"),
        (b"? [a, b]\n: 1\n", "1:3", "a key must be a word"),
        ("title: caf\u00e9\n".encode("latin-1"), "1:11", "this is not UTF-8 text"),
        ("format: 1\n".encode("utf-16"), "1:1", "this is not UTF-8 text"),
        (b"format: 1\nti\x00tle: x\n", "2:3", "a NUL character"),
        (b"format: 1\ntitle: \x1b[31mred\n", "2:8", "the invisible character U+001B"),
        (b"[" * 100_000, "1:26", "nested more than 24 deep"),
        (b"{a: " * 25_000, "1:101", "nested more than 24 deep"),
        (b"- " * 50_000, "1:51", "nested more than 24 deep"),
        (b"".join(b"k%d: 1\n" % n for n in range(5000)), "201:1", "more than 200 keys in one block"),
        (billion_laughs(), "6:", "aliases make this file grow beyond all use"),
        (b"a: &a '" + b"x" * 100_000 + b"'\nb: [" + b"*a," * 1000 + b"]\n", "2:", "aliases make this file grow"),
        (b"#" * 5_000_000, "1:1", "the file is 5.0 MB, more than the 2 MB"),
    ],
)
def test_it_is_one_clear_fault(source, place, words):
    found = faults(source)

    assert len(found) == 1
    assert found[0].startswith(f"s.yaml:{place}")
    assert words in found[0]


def test_more_values_than_a_page_can_wait_for_are_refused(monkeypatch):
    monkeypatch.setattr(yamltext, "MOST_VALUES", 1000)

    found = faults(b"items: [" + b"1," * 1000 + b"]")

    assert found == ["s.yaml:1:2005 file: the file has more than 1,000 values (put the prompts into a reply file)"]


def test_tags_are_refused():
    assert faults(changed(("Which reply helps?", "!!python/name:os.system x"))) == [
        "s.yaml:3:8 title: tags are not used in study files (remove `tag:yaml.org,2002:python/name:os.system`)"
    ]


@pytest.mark.parametrize("escape", [r"\0", r"\ud800", r"\e", r"\x7f"])
def test_an_escape_cannot_smuggle_an_invisible_character_in(escape):
    found = faults(changed(("Which reply helps?", f'"a{escape}b"')))

    assert len(found) == 1
    assert found[0].startswith("s.yaml:3:8 title: the text holds ")


def test_a_byte_order_mark_and_windows_lines_are_fine():
    loaded = load(b"\xef\xbb\xbf" + STUDY.replace("\n", "\r\n").encode())

    assert loaded.definition == load(STUDY).definition


def test_aliases_in_reason_are_fine():
    text = changed(
        ("system: You listen.}", "system: You listen., sampling: &s {temperature: 0.5}}"),
        ("system: You answer.}", "system: You answer., sampling: *s}"),
    )

    assert {arm.sampling.temperature for arm in load(text).definition.arms} == {0.5}


@pytest.mark.parametrize("number", [".nan", ".inf", "1e999", "1" * 400])
def test_numbers_that_are_none_are_refused(number):
    found = faults(changed(("system: You listen.", f"system: You listen., sampling: {{temperature: {number}}}")))

    assert len(found) == 1
    assert "arms[0].sampling.temperature: a number is needed here" in found[0]


def test_a_fault_stays_in_its_line_whatever_the_key_holds():
    found = faults(STUDY + '"a\\nb": 1\n')

    assert found == ['s.yaml:31:1 "a\\nb": unknown key']


def test_very_many_faults_are_cut_off():
    text = STUDY.replace("items:\n", "items:\n" + "  - {key: one, prompt: x, y: z}\n" * 600)

    assert len(faults(text)) == 500
