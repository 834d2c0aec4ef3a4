import numpy as np
import pytest

from reports.statistics.quality import Work, patterns, repeated_comments, straight_lining, too_fast

NAN = float("nan")


def work(*people, seconds=None):
    """Each person's replies in order, each a list of ratings; or seconds, one a reply."""
    rows = [(who, place, reply) for who, replies in enumerate(people) for place, reply in enumerate(replies)]
    return Work(
        participant=np.array([who for who, _, _ in rows], dtype=int),
        item=np.array([place for _, place, _ in rows], dtype=int),
        order=np.array([place for _, place, _ in rows], dtype=int),
        values=np.array([reply for *_, reply in rows], dtype=float).reshape(len(rows), -1 if rows else 2),
        seconds=np.array([s for mine in seconds for s in mine], dtype=float) if seconds else np.full(len(rows), NAN),
    )


LIVELY = [[7, 8], [8, 8], [6, 9], [9, 9], [5, 7], [8, 6], [7, 7]]


def test_six_equal_replies_in_a_row_are_a_straight_line():
    assert straight_lining(work(LIVELY, [[9, 8], *[[7, 7]] * 6])) == {1}
    assert straight_lining(work(LIVELY, [[9, 8], *[[7, 7]] * 5])) == set()


def test_equal_replies_are_counted_only_in_a_row():
    assert straight_lining(work([[7, 7], [8, 8]] * 8)) == set()


def test_few_replies_all_alike_are_a_straight_line_from_four_on():
    assert straight_lining(work([[10, 10]] * 3, [[10, 10]] * 4)) == {1}


def test_replies_of_which_nothing_was_rated_are_no_line():
    assert straight_lining(work([[NAN, NAN]] * 9)) == set()


def test_the_order_of_the_rows_does_not_matter():
    given = work(LIVELY, [[9, 8], *[[7, 7]] * 6])
    mixed = np.random.default_rng(2).permutation(len(given.order))
    shuffled = Work(*(getattr(given, name)[mixed] for name in ("participant", "item", "order", "values", "seconds")))

    assert straight_lining(shuffled) == {1}


def test_a_pattern_is_described():
    (of,) = patterns(work([[7, 7], [7, 7], [9, 8], [7, NAN]])).values()

    assert (of.replies, of.longest_run) == (4, 2)
    assert of.modal_share == pytest.approx(5 / 7)
    assert of.criteria_alike == pytest.approx(2 / 3)
    assert of.sd == pytest.approx(np.std([7, 7, 7, 7, 9, 8, 7], ddof=1))


def test_who_is_far_faster_than_usual_on_half_of_the_replies_is_flagged():
    usual = [[20.0, 30.0, 25.0, 40.0]] * 6
    people = [[[5, 5]] * 4] * 8

    assert too_fast(work(*people, seconds=[*usual, [5, 9, 25, 40], [5, 30, 25, 40]])) == {6}


def test_without_times_nobody_is_fast():
    assert too_fast(work(LIVELY, LIVELY)) == set()


def test_comments_that_repeat_are_found():
    long = "The reply listened and understood me."

    assert repeated_comments({0: ["ok", "ok", "OK "], 1: [long], 2: [f"  {long.upper()}"], 3: ["ok", "fine"]}) == {
        0,
        1,
        2,
    }


def test_nobody_at_all():
    nobody = work()

    assert straight_lining(nobody) == set()
    assert too_fast(nobody) == set()
    assert repeated_comments({}) == set()
