from hypothesis import given
from hypothesis import strategies as st

from reports.sample import LEAST, SUPPRESSED, cells_to_hide, describe_sample, is_small

AGE = {"key": "age", "question": "How old?", "kind": "choice", "choices": [("a", "A"), ("b", "B"), ("c", "C")]}


def shown(question, answers, people):
    (cells,) = describe_sample([question], [(question["key"], answer) for answer in answers], people)["questions"]
    return [cell["n"] for cell in cells["answers"]] + [cells["no_answer"]]


def test_large_groups_are_counted():
    assert shown(AGE, ["a"] * 6 + ["b"] * 7, 13) == [6, 7, 0, 0]


def test_a_small_group_is_hidden_with_the_one_that_would_give_it_away():
    assert shown(AGE, ["a"] * 6 + ["b"] * 3 + ["c"] * 8, 17) == [SUPPRESSED, SUPPRESSED, 8, 0]


def test_small_groups_that_sum_to_a_small_number_take_another_along():
    assert shown(AGE, ["a"] * 9 + ["b"] + ["c"] * 2, 12) == [SUPPRESSED] * 3 + [0]


def test_who_did_not_answer_is_a_group_too():
    assert shown(AGE, ["a"] * 9 + ["b"] * 6, 17) == [9, SUPPRESSED, 0, SUPPRESSED]


def test_a_sample_of_two_hides_everything():
    assert shown(AGE, ["a", "a"], 2) == [SUPPRESSED] * 4


def test_of_overlapping_answers_those_who_did_not_choose_are_a_group():
    several = AGE | {"kind": "choices"}
    assert shown(several, [["a", "b"]] * 8 + [["a"]] * 2, 10) == [10, SUPPRESSED, 0, 0]


def test_free_text_is_only_counted():
    text = {"key": "remark", "question": "Anything?", "kind": "text", "choices": []}
    assert shown(text, ["my name is Ada"] * 6, 12) == [6, 6]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=9))
def test_no_small_cell_can_be_worked_out(counts):
    hidden = cells_to_hide(counts)
    small = {place for place, n in enumerate(counts) if is_small(n)}
    assert small <= hidden
    if small and len(counts) > 1:
        assert len(hidden) > 1
        others_shown = [n for place, n in enumerate(counts) if place not in hidden]
        assert sum(counts[place] for place in hidden) >= LEAST or not others_shown
