"""What was read of a conversation saves reading it again, and changes no reply."""

import pytest

from inference.engines.base import GenRequest, Sampling
from inference.engines.huggingface import HuggingFaceEngine

SAID = ["hello how are you", "i am sad about the exam", "and the money", "what about sleep", "thank you"]


@pytest.fixture
def prefixes(torch):
    from inference.engines.prefixes import Prefixes

    # Each token of `prefix` takes 16 bytes.
    return Prefixes(most_bytes=16 * 100)


def prefix(tokens):
    import torch

    from inference.engines.prefixes import Prefix

    part = torch.tensor([float(token) for token in tokens]).reshape(1, -1, 1)
    return Prefix(list(tokens), [part, part], [part, part])


def test_what_is_common_with_what_was_read_is_found(prefixes):
    prefixes.keep("talk", None, prefix(range(40)))
    found = prefixes.find("talk", None, [*range(30), 99, 98])

    assert list(found.tokens) == list(range(30))
    assert found.keys[0].flatten().tolist() == list(range(30))


def test_the_last_token_is_always_read(prefixes):
    prefixes.keep("talk", None, prefix(range(40)))

    assert len(prefixes.find("talk", None, list(range(40)))) == 39
    assert len(prefixes.find("talk", None, list(range(41)))) == 40


def test_what_is_hardly_anything_is_not_worth_it(prefixes):
    prefixes.keep("talk", None, prefix(range(40)))

    assert prefixes.find("talk", None, [0, 1, 2, 99, 98]) is None


def test_each_conversation_and_each_adapter_has_its_own(prefixes):
    prefixes.keep("talk", "a", prefix(range(40)))

    assert prefixes.find("talk", None, list(range(50))) is None
    assert prefixes.find("other", "a", list(range(50))) is None


def test_the_one_that_was_not_used_for_longest_goes_first(prefixes):
    for name in ("first", "second"):
        prefixes.keep(name, None, prefix(range(40)))
    prefixes.find("first", None, list(range(50)))
    prefixes.keep("third", None, prefix(range(40)))

    assert prefixes.find("first", None, list(range(50)))
    assert prefixes.find("third", None, list(range(50)))
    assert prefixes.find("second", None, list(range(50))) is None


def test_a_later_turn_takes_the_place_of_the_earlier(prefixes):
    for length in (40, 60, 90):
        prefixes.keep("talk", None, prefix(range(length)))

    assert len(prefixes.find("talk", None, list(range(200)))) == 90


def test_what_is_too_large_is_not_kept(prefixes):
    prefixes.keep("talk", None, prefix(range(40)))
    prefixes.keep("talk", None, prefix(range(101)))

    assert prefixes.find("talk", None, list(range(200))) is None
    assert prefixes.clear() is False


@pytest.fixture
def engine(folder, adapters):
    engine = HuggingFaceEngine(folder, adapters, threads=1)
    yield engine
    engine.close()


@pytest.fixture
def forgetful(folder, adapters):
    engine = HuggingFaceEngine(folder, adapters, threads=1, prefix_bytes=0)
    yield engine
    engine.close()


def turn(said: list[str], replies: list[str], conversation="talk", adapter=None, temperature=0.0) -> GenRequest:
    messages = [{"role": "system", "content": "You listen."}]
    for message, reply in zip(said, [*replies, None], strict=True):
        messages.append({"role": "user", "content": message})
        if reply is not None:
            messages.append({"role": "assistant", "content": reply})
    sampling = Sampling(temperature=temperature, max_new_tokens=16)
    return GenRequest(f"{conversation}-{len(said)}", messages, sampling, (), 7, adapter, None, conversation)


def talk(engine, turns=4, **options) -> list:
    """The ends of so many turns, one after the other."""
    ends = []
    for number in range(1, turns + 1):
        *_, end = engine.submit(turn(SAID[:number], [end.text for end in ends], **options))
        ends.append(end)
    return ends


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("adapter", [None, "a"])
def test_later_turns_read_what_is_new_and_say_the_same(engine, forgetful, adapter, temperature):
    ours = talk(engine, adapter=adapter, temperature=temperature)
    anew = talk(forgetful, adapter=adapter, temperature=temperature)

    assert [end.output_ids for end in ours] == [end.output_ids for end in anew]
    assert [end.cached_tokens for end in anew] == [0, 0, 0, 0]
    assert ours[0].cached_tokens == 0
    for earlier, end in zip(ours, ours[1:], strict=False):
        assert end.cached_tokens >= len(earlier.prompt_ids)


def test_those_who_know_and_those_who_do_not_are_read_together(engine, forgetful):
    ends = {name: talk(engine, turns, conversation=name) for name, turns in (("one", 1), ("three", 3))}
    wanted = [
        turn(SAID[:2], [ends["one"][0].text], conversation="one"),
        turn(SAID[:4], [end.text for end in ends["three"]], conversation="three"),
        turn(SAID[:1], [], conversation="new", adapter="b"),
    ]
    with engine._wake:  # all of them are there when it looks
        streams = [engine.submit(request) for request in wanted]
    together = [list(stream)[-1] for stream in streams]
    alone = [list(forgetful.submit(request))[-1] for request in wanted]

    assert [end.output_ids for end in together] == [end.output_ids for end in alone]
    assert [end.batch_size for end in together] == [3, 3, 3]
    assert [bool(end.cached_tokens) for end in together] == [True, True, False]


def test_what_was_cut_off_is_not_kept(engine):
    with engine._wake:
        engine.submit(turn(SAID[:1], [], conversation="cut"))
        engine.cancel("cut-1")
    *_, end = engine.submit(turn(SAID[:1], [], conversation="cut"))

    assert end.cached_tokens == 0


def test_without_a_conversation_nothing_is_kept(engine):
    talk(engine, 1, conversation="")

    assert engine._prefixes.clear() is False


def test_short_of_memory_what_is_kept_goes_first(engine, torch, monkeypatch):
    talk(engine, 1)
    forward, errors = engine._batch._forward, [torch.OutOfMemoryError("full")]

    def short(*arguments):
        if errors:
            raise errors.pop()
        return forward(*arguments)

    monkeypatch.setattr(engine._batch, "_forward", short)
    *_, end = engine.submit(turn(SAID[:1], [], conversation="next"))

    assert end.output_ids
    assert engine._prefixes.find("talk", None, list(end.prompt_ids)) is None
    assert engine._limit == engine.capacity()
