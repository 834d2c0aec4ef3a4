"""What a data package says of each reply that a model made."""

import io
import json
import zipfile
from dataclasses import replace

import pytest

from inference import answering, conversations
from inference.canonical import digest
from inference.engines.base import Failure
from inference.engines.scripted import ScriptedEngine
from inference.models import Attempt, ChatModel, Setup, Turn
from ratings.frames import pool_of
from ratings.withdrawal import withdraw
from reports import codebook
from reports.package import write_package
from tests.reports.people import exclude, take_part


class Engine(ScriptedEngine):
    """One that has more to say of itself."""

    def submit(self, request):
        for event in super().submit(request):
            yield replace(event, batch_size=3, cached_tokens=5) if hasattr(event, "details") else event

    def describe(self):
        return {"engine": "scripted", "weights": {"model.safetensors": "a" * 64}, "adapters": {}}


@pytest.fixture
def setup_of_model(db):
    model = ChatModel.objects.create(key="larkspur", engine="scripted", base="", revision="r2")
    return Setup.objects.of(model, "You listen.", {"temperature": 0.5}, ["User:"])


@pytest.fixture
def talk(study, setup_of_model):
    """Somebody who takes part, and chats: a message for each script by which the engine answers."""

    def talk(*scripts, **who):
        visit = take_part(study, **who)
        exposure = visit.assignments.first().exposures.get()
        exposure.conversation = conversations.open_live(setup_of_model, seed=7)
        exposure.save()
        for number, script in enumerate(scripts):
            reply = conversations.say(exposure.conversation, f"MARKER {number}", 2 * number)
            engine = Engine(script if isinstance(script, list) else [script])
            while reply.is_open:
                answering.answer(reply.pk, "worker-1", engine)
                Turn.objects.open().update(not_before=None)
                reply.refresh_from_db()
        return visit

    return talk


def package(study):
    file = io.BytesIO()
    manifest = write_package(pool_of(study), None, file)
    lines = zipfile.ZipFile(file).read("conversations.jsonl").splitlines()
    return manifest, [json.loads(line) for line in lines]


def messages(study):
    return next(talk for talk in package(study)[1] if talk["kind"] == "live")["messages"]


def test_a_reply_comes_with_how_it_was_made(study, talk):
    talk("I hear you.")

    reply = messages(study)[1]
    (attempt,) = reply["attempts"]

    assert (reply["finish_reason"], attempt["number"], attempt["outcome"], attempt["worker"]) == (
        "stop",
        1,
        "done",
        "worker-1",
    )
    assert (attempt["model"], attempt["revision"], attempt["stops"]) == ("larkspur", "r2", ["User:"])
    assert (attempt["sampling"]["temperature"], attempt["batch_size"], attempt["cached_tokens"]) == (0.5, 3, 5)
    assert attempt["setup"] == Setup.objects.get().digest
    assert attempt["seed"] == str(Turn.objects.replies().get(conversation__kind="live").seed)


def test_its_times_are_in_their_order(study, talk):
    talk("I hear you.")

    reply = messages(study)[1]
    (attempt,) = reply["attempts"]

    times = [reply["created_at"], *(attempt[name] for name in ("claimed_at", "first_token_at", "finished_at"))]
    assert times == sorted(times)
    assert attempt["queued_s"] >= 0
    assert reply["first_sent_at"] is None


def test_the_tokens_stand_beside_the_text(study, talk):
    talk("I hear you.", "Go on.")

    _, first, _, second = messages(study)

    assert bytes(first["attempts"][0]["output_ids"]).decode() == first["text"]
    assert bytes(second["attempts"][0]["prompt_ids"]).decode() == "MARKER 1"


def test_a_persons_message_was_made_by_nobody(study, talk):
    talk("I hear you.")

    assert set(messages(study)[0]) == {"index", "role", "text"}


def test_every_try_is_told_and_only_the_last_with_its_tokens(study, talk):
    talk([Failure("engine", "broken", prompt_ids=(1,), output_ids=(2,)), "I hear you."])

    broken, made = messages(study)[1]["attempts"]

    assert (broken["number"], broken["outcome"], made["number"], made["outcome"]) == (1, "engine", 2, "done")
    assert broken["prompt_ids"] is broken["output_ids"] is None
    assert made["output_ids"]


def test_a_try_that_was_lost_with_its_worker_is_told_without_an_engine(study, talk):
    talk("I hear you.")
    Attempt.objects.update(outcome="lost", provenance={}, prompt_ids=None, output_ids=None)

    (lost,) = messages(study)[1]["attempts"]

    assert (lost["outcome"], lost["engine"], lost["model"]) == ("lost", None, None)


def test_a_prompt_is_told_only_where_all_of_it_is(study, talk):
    talk("I hear you.", "Go on.")
    Turn.objects.filter(index=0, conversation__kind="live").update(state="blocked")

    first, _, second = messages(study)

    assert first["attempts"][0]["prompt_ids"] is second["attempts"][0]["prompt_ids"] is None
    assert first["attempts"][0]["output_ids"]


def test_an_engine_is_described_once_under_its_digest(study, talk):
    talk("I hear you.", "Go on.")
    talk("Yes.")

    manifest, talks = package(study)

    ((name, engine),) = manifest["engines"].items()
    assert name == digest(engine)
    assert engine["weights"] == {"model.safetensors": "a" * 64}
    tries = [each for talk in talks for message in talk["messages"] for each in message.get("attempts", ())]
    assert [each["engine"] for each in tries] == [name] * 3


@pytest.mark.parametrize("leave", [withdraw, exclude])
def test_who_is_left_out_leaves_no_tokens_behind(study, talk, leave):
    leave(talk("I hear you."))

    manifest, talks = package(study)

    assert manifest["engines"] == {}
    assert not any("attempts" in message for talk in talks for message in talk["messages"])


def test_everything_that_is_told_is_in_the_codebook(study, talk):
    talk("I hear you.")
    reply = messages(study)[1]

    explained = {row["column"] for row in codebook.rows(pool_of(study).definition)}

    told = {f"messages.{name}" for name in set(reply) - {"index", "role", "text"}}
    told |= {f"messages.attempts.{name}" for name in reply["attempts"][0]}
    assert told <= explained


def test_more_talks_take_no_more_queries(study, talk, django_assert_max_num_queries):
    for _ in range(3):
        talk("I hear you.", "Go on.")

    with django_assert_max_num_queries(100) as few:
        package(study)
    for _ in range(3):
        talk("I hear you.", "Go on.")

    with django_assert_max_num_queries(len(few)):
        package(study)


def test_a_reply_that_failed_for_good_is_told_with_every_try_and_no_word(study, talk):
    broken = Failure("engine", "MARKER broke", prompt_ids=(1,), output_ids=(2,))
    talk([broken, broken, broken])

    manifest, talks = package(study)
    live = next(talk for talk in talks if talk["kind"] == "live")
    (failed,) = live["failed"]

    assert [message["index"] for message in live["messages"]] == [0]
    assert (failed["index"], failed["failure"]) == (1, "engine")
    assert [(each["number"], each["outcome"]) for each in failed["attempts"]] == [(n, "engine") for n in (1, 2, 3)]
    assert {(each["prompt_ids"], each["output_ids"]) for each in failed["attempts"]} == {(None, None)}
    assert {each["engine"] for each in failed["attempts"]} == set(manifest["engines"])
    assert "text" not in failed
    assert "MARKER" not in json.dumps(failed)


def test_what_was_written_for_a_reply_that_was_blocked_is_not_told(study, talk):
    talk("I hear you.")
    Turn.objects.replies().filter(conversation__kind="live").update(state="blocked")

    live = next(talk for talk in package(study)[1] if talk["kind"] == "live")
    (attempt,) = live["failed"][0]["attempts"]

    assert (live["failed"][0]["failure"], attempt["outcome"], attempt["output_ids"]) == ("blocked", "done", None)


def test_a_talk_without_failures_has_none(study, talk):
    talk("I hear you.")

    assert [talk["failed"] for talk in package(study)[1]] == [[]] * len(package(study)[1])


def test_everything_that_is_told_of_a_failure_is_in_the_codebook(study, talk):
    talk([Failure("context_too_long", "Too long.")])
    failed = next(talk for talk in package(study)[1] if talk["kind"] == "live")["failed"][0]

    explained = {row["column"] for row in codebook.rows(pool_of(study).definition)}

    told = {f"failed.{name}" for name in failed} | {f"failed.attempts.{name}" for name in failed["attempts"][0]}
    assert told | {"failed"} <= explained


def test_of_a_server_only_its_host_is_told(study, talk):
    talk("I hear you.")
    Attempt.objects.update(
        provenance={"engine": {"engine": "openai", "url": "https://me:pw@gpu-1.example.org:8443/tenant-77/v1"}}
    )

    manifest, _ = package(study)

    assert list(manifest["engines"].values()) == [{"engine": "openai", "server": "gpu-1.example.org", "adapter": None}]
