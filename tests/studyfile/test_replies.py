"""Replies made elsewhere: every fault listed by its line."""

import json

import pytest

from ratings.studyfile.replies import MOST_FAULTS, Message, read_replies
from tests.studyfile.written import REPLIES, faults, load, with_replies


def wrong(text: str | bytes, **lists) -> list[str]:
    source = text.encode() if isinstance(text, str) else text
    return [str(fault) for fault in read_replies(source, "own.csv", **lists)[1] if fault.severity == "error"]


def lines(*rows: object) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def row(item="one", arm="aspen", prompt="A worry.", reply="A reply.", **more):
    return {"item_id": item, "arm": arm, "prompt": prompt, "reply": reply, **more}


def test_csv_is_read():
    replies, found = read_replies(REPLIES.encode(), "own.csv")

    assert found == []
    assert [(reply.item, reply.arm, reply.prompt, reply.reply, reply.line) for reply in replies][:2] == [
        ("one", "aspen", "First worry.", "A reply.", 2),
        ("one", "birch", "First worry.", "Another reply.", 3),
    ]
    assert replies[0].messages == (Message("user", "First worry."), Message("assistant", "A reply."))


@pytest.mark.parametrize(
    "same",
    [
        "\ufeff" + REPLIES,
        REPLIES.replace(",", ";"),
        REPLIES.replace(",", "\t"),
        REPLIES.replace("\n", "\r\n"),
        REPLIES.replace("\n", "\n\n"),
        "\n" + REPLIES.replace("item_id,arm", " item_id , arm "),
    ],
)
def test_csv_as_spreadsheets_write_it_is_read_the_same(same):
    replies, found = read_replies(same.encode(), "own.csv")

    assert found == []
    assert [(r.item, r.arm, r.messages) for r in replies] == [
        (r.item, r.arm, r.messages) for r in read_replies(REPLIES.encode(), "own.csv")[0]
    ]


def test_a_text_may_hold_lines_commas_and_quotes():
    text = 'item_id,arm,prompt,reply\none,aspen,"Tired,\nand ""sad"".","Rest."\none,birch,"Tired,\nand ""sad"".",Oh.\n'

    replies, found = read_replies(text.encode(), "own.csv")

    assert found == []
    assert replies[0].prompt == 'Tired,\nand "sad".'
    assert replies[1].line == 4


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("prompt,reply", "prompt,replies", ["own.csv:1:1 reply: the column is missing (`replies` should be `reply`)"]),
        (
            "item_id,arm",
            "item,arms",
            [
                "own.csv:1:1 item_id: the column is missing (`item` should be `item_id`)",
                "own.csv:1:1 arm: the column is missing (`arms` should be `arm`)",
            ],
        ),
        ("prompt,reply", "reply,reply", None),
        ("A reply.", "", ["own.csv:2:1 reply: is empty"]),
        ("A reply.", "   ", ["own.csv:2:1 reply: is empty"]),
        ("one,birch", "one,aspen", None),
        ("two,birch,Second worry.,A fourth reply.\n", "", ["own.csv:4:1 arm: `two` has no reply of `birch`"]),
        (
            "one,birch,First worry.",
            "one,birch,Another worry.",
            ["own.csv:3:1 prompt: `one` has another prompt than in line 2 (all arms answer the same message)"],
        ),
        ("A reply.", "A reply, and more.", None),
        (
            "A reply.",
            '"A reply.',
            ['own.csv:2:1 file: a quote opened here is never closed (a quote inside a text is written twice: "")'],
        ),
        ("A reply.", '"A" reply.', None),
        ("A reply.", "x" * 20_001, ["own.csv:2:1 reply: has 20,001 characters, more than 20,000"]),
        (
            "A reply.",
            "Ask the aspen.",
            [
                "own.csv:2:1 reply: participants would read 'aspen', the name of an arm "
                "(call the arm `aspen` something else)"
            ],
        ),
        ("A third reply.", "A\x00third reply.", ["own.csv:4:1 file: the line holds a NUL character (delete it)"]),
    ],
)
def test_a_fault_in_csv_is_named_by_its_line(old, new, expected):
    assert old in REPLIES
    found = wrong(REPLIES.replace(old, new, 1))

    assert found
    assert all(fault.startswith("own.csv:") for fault in found)
    if expected is not None:
        assert found == expected


def test_a_reply_twice_for_one_item_and_arm_is_named_with_the_first_line():
    found = wrong(REPLIES + "one,aspen,First worry.,Once more.\n")

    assert found == ["own.csv:6:1 item_id: `one` has a reply of `aspen` already in line 2 (keep one of them)"]


def test_a_row_with_too_many_cells_hints_at_the_comma():
    found = wrong(REPLIES.replace("A reply.", "A reply, and more."))

    assert found[0].startswith("own.csv:2:1 file: 5 cells, but the header names 4 (a text with `,`")


@pytest.mark.parametrize("source", ["", "\n \n", "item_id,arm,prompt,reply\n"])
def test_an_empty_file_is_one_fault(source):
    assert wrong(source) == ["own.csv:1:1 file: the file holds no replies"]


def test_bytes_that_are_not_utf8_are_named_by_their_line():
    found = wrong(REPLIES.replace("Another reply.", "Caf\u00e9.").encode("latin-1"))

    assert found == ["own.csv:3:1 file: this is not UTF-8 text (save it as UTF-8; in a spreadsheet: CSV UTF-8)"]


def test_a_cell_of_five_megabytes_is_one_fault():
    found = wrong(REPLIES.replace("A reply.", "x" * 5_000_000))

    assert found == ["own.csv:2:1 file: a cell is far too large (a text may have 20,000 characters)"]


def test_a_file_far_too_large_is_one_fault():
    assert wrong(b"x" * 50_000_001) == ["own.csv:1:1 file: the file is larger than 50 MB"]


def test_all_faults_are_told_at_once_in_the_order_of_lines():
    text = REPLIES.replace("A reply.", "").replace("two,birch", "two,").replace("Another", "")

    assert [int(fault.split(":")[1]) for fault in wrong(text)] == [2, 4, 5]


def test_very_many_faults_are_cut_off():
    found = wrong("item_id,arm,prompt,reply\n" + "a,b,c,\n" * 5000)

    assert len(found) == MOST_FAULTS + 1
    assert found[-1].endswith("there are more faults from here on")


def test_unknown_arms_and_items_are_named_when_the_study_file_lists_them():
    found = wrong(REPLIES, arms=["aspen", "birhc"], items={"one": None, "three": None})

    assert "own.csv:3:1 arm: the study file lists no arm `birch` (did you mean `birhc`?)" in found
    assert any(fault.startswith("own.csv:4:1 item_id: the study file lists no item `two`") for fault in found)
    assert "own.csv:1:1 arm: `three` has no reply of `aspen`" in found


def test_a_misspelt_arm_is_one_fault_and_not_a_gap_as_well():
    found = wrong(REPLIES.replace("two,birch", "two,brich"), arms=["aspen", "birch"])

    assert found == ["own.csv:5:1 arm: the study file lists no arm `brich` (did you mean `birch`?)"]


def test_a_prompt_that_differs_from_the_study_file_is_named():
    found = wrong(REPLIES, items={"one": "First worry.", "two": "Quite another."})

    assert found == ["own.csv:4:1 prompt: `two` has another prompt than in the study file"]


def test_columns_nobody_asked_for_are_warned_about():
    found = read_replies(b"item_id,arm,prompt,reply,model\na,b,c,d,e\n", "own.csv")[1]

    assert [(str(fault), fault.severity) for fault in found] == [
        ("own.csv:1:1 model: the column is not used", "warning")
    ]


@pytest.mark.parametrize("reply", ["As an AI language model, I cannot feel.", "I'm Claude, hello.", "OpenAI made me."])
def test_a_reply_that_tells_who_wrote_it_is_warned_about(reply):
    found = read_replies(lines(row(reply=reply)).encode(), "own.jsonl")[1]

    assert [fault.severity for fault in found] == ["warning"]
    assert "the reply tells who wrote it" in found[0].message


def test_a_reply_that_mentions_somebody_called_claude_is_fine():
    assert not read_replies(lines(row(reply="Ask Claude from next door.")).encode(), "own.jsonl")[1]


def test_json_lines_are_read():
    replies, found = read_replies(lines(row(), row(arm="birch", reply="Another.")).encode(), "own.jsonl")

    assert found == []
    assert [(reply.arm, reply.reply) for reply in replies] == [("aspen", "A reply."), ("birch", "Another.")]


def test_json_lines_may_hold_several_turns():
    turns = [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hello, how are you?"},
        {"role": "user", "content": "Tired."},
        {"role": "assistant", "content": "Since when?"},
    ]

    replies, found = read_replies(lines({"item_id": 7, "arm": "aspen", "messages": turns}).encode(), "own.jsonl")

    assert found == []
    assert (replies[0].item, replies[0].prompt, replies[0].reply) == ("7", "Hello.", "Since when?")
    assert len(replies[0].messages) == 4


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ("Hello", "messages: should be a list of {role, content}"),
        ([], "messages: nobody asks anything"),
        ([{"role": "assistant", "content": "Hi."}], "messages: nobody asks anything"),
        ([{"role": "user", "content": "Hi."}], "messages: the last message should be the assistant's"),
        (
            [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Hi."}],
            "messages[0].role: should be user or assistant (participants would read it: leave it out)",
        ),
        ([{"role": "user", "content": "Hi."}, {"role": "assistant"}], "content: is missing"),
        ([{"role": "user", "content": ["Hi."]}, {"role": "assistant", "content": "A."}], "content: should be a text"),
    ],
)
def test_turns_that_make_no_dialogue_are_named(messages, expected):
    found = wrong(lines({"item_id": "a", "arm": "aspen", "messages": messages}))

    assert any(fault.startswith(f"own.csv:1:1 {expected}") for fault in found)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"item_id": "a"', "file: this line is not JSON at character 16"),
        ("[1, 2]", "file: this line is not a JSON object"),
        ("[" * 100_000, "file: this line is not JSON"),
        ('{"item_id": "a", "arm": "b", "prompt": "c", "reply": null}', "reply: should be a text"),
        ('{"item_id": true, "arm": "b", "prompt": "c", "reply": "d"}', "item_id: should be a text"),
        ('{"item_id": "a", "arm": "b", "prompt": "c", "repy": "d"}', "reply: is missing (`repy` should be `reply`)"),
        ('{"item_id": "a", "arm": "b", "prompt": "c", "reply": "d\\u0000"}', "reply: holds a NUL character"),
        ('{"item_id": "a", "arm": "b", "prompt": "c", "reply": "d\\ud800"}', "reply: holds the invisible character"),
    ],
)
def test_a_fault_in_json_lines_is_named_by_its_line(line, expected):
    found = wrong(lines(row()) + line + "\n")

    assert any(fault.startswith(f"own.csv:2:1 {expected}") for fault in found)


def test_faults_of_the_reply_file_come_after_those_of_the_study_file():
    found = faults(with_replies().replace("minutes: 10", "minutes: x"), REPLIES.replace("A reply.", ""))

    assert found == ["s.yaml:6:10 minutes: a whole number is needed here, not 'x'", "own.csv:2:1 reply: is empty"]


def test_keys_that_the_study_cannot_use_are_refused():
    found = faults(with_replies(), REPLIES.replace("aspen", "an aspen tree").replace("two,", "zwei/2,"))

    assert found == [
        "own.csv:2:1 arm: 'an aspen tree' is not possible here "
        "(letters, digits, hyphens and underscores, a letter first)",
        "own.csv:4:1 item_id: 'zwei/2' is not possible here (letters, digits, hyphens, dots and underscores)",
    ]


def test_a_telling_arm_in_the_reply_file_is_named_by_its_first_line():
    found = faults(with_replies(), REPLIES.replace("birch", "human"))

    assert found == [
        "own.csv:3:1 arm: `human` says something about the arm: 'human' "
        "(choose a plain word, such as a tree or a river)"
    ]


def test_an_arm_that_could_be_any_word_is_named_when_a_reply_holds_it():
    assert any("names" in fault or "would read 'reply'" in fault for fault in wrong(REPLIES.replace("birch", "reply")))


def test_what_was_read_is_handed_on_with_its_bytes():
    loaded = load(with_replies(), REPLIES)

    assert len(loaded.replies) == 4
    assert loaded.reply_files == {"own.csv": REPLIES.encode()}
