import threading

import pytest
from django.db import connections

from inference import answering, conversations, verification
from inference.engines.huggingface import HuggingFaceEngine
from inference.models import Attempt, ChatModel, Setup

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(scope="module")
def engine(folder, adapters):
    engine = HuggingFaceEngine(folder, adapters, threads=1)
    yield engine
    engine.close()


def answer_together(replies, engine):
    def work(pk):
        answering.answer(pk, "w1", engine)
        connections.close_all()

    threads = [threading.Thread(target=work, args=(pk,)) for pk in replies]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]


@pytest.fixture
def arms(engine, folder, adapters):
    """Six replies of three models, made together in one batch of strangers; turn to arm."""
    replies = {}
    for number in range(6):
        name = ["base", "a", "b"][number % 3]
        adapter = str(adapters.get(name, ""))
        model, _ = ChatModel.objects.get_or_create(key=name, defaults={"base": str(folder), "adapter": adapter})
        setup = Setup.objects.of(model, "You listen.", {"temperature": 0.3 * number, "max_new_tokens": 12}, [])
        replies[conversations.say(conversations.open_live(setup, seed=number), f"hello {number}", 0).pk] = name
    answer_together(replies, engine)
    return replies


@pytest.fixture
def load(folder, adapters):
    return lambda model: HuggingFaceEngine(folder, adapters, max_batch=1, threads=1)


def test_replies_made_in_a_batch_of_strangers_come_out_the_same_alone(arms, load):
    told = verification.summary(list(verification.verify(arms, load)))

    assert (told["compared"], told["same"], told["share_before_first_difference"]) == (6, 6, 1.0)
    assert set(told["by_arm"]) == {"base", "a", "b"}
    assert list(told["by_device"]) == ["cpu float32"]


def test_the_first_token_that_differs_is_named(arms, load):
    attempt = next(a for a in Attempt.objects.all() if len(a.output_ids) > 2)  # some end sooner
    attempt.output_ids[2] += 1
    attempt.save()

    (check,) = verification.verify({attempt.turn_id: arms[attempt.turn_id]}, load)

    assert (check.outcome, check.same_until) == ("differs", 2)
    assert "token" in check.reason


def test_another_adapter_is_named_by_its_file(arms, load):
    attempt = next(a for a in Attempt.objects.all() if a.provenance["adapter"])
    attempt.provenance["adapter"]["files"]["adapter_model.safetensors"] = "0" * 64
    attempt.save()

    (check,) = verification.verify({attempt.turn_id: "a"}, load)

    assert (check.outcome, check.reason) == ("hashes differ", "adapter: adapter_model.safetensors")


def test_another_prompt_is_told(arms, load):
    attempt = Attempt.objects.first()
    attempt.prompt_ids = attempt.prompt_ids[1:]
    attempt.save()

    assert next(verification.verify({attempt.turn_id: arms[attempt.turn_id]}, load)).outcome == "prompt differs"


def test_a_model_that_is_gone_cannot_be_run_again(arms):
    def load(model):
        raise FileNotFoundError

    assert {check.outcome for check in verification.verify(arms, load)} == {"cannot be re-run"}


def test_the_same_seed_chooses_the_same_sample():
    assert verification.sample(range(100), 5, 3) == verification.sample(range(100), 5, 3)
    assert verification.sample(range(100), 5, 3) != verification.sample(range(100), 5, 4)


@pytest.mark.model
def test_replies_that_the_real_model_drew_together_come_out_the_same_alone(default_model):
    engine = HuggingFaceEngine(default_model, threads=1)
    model = ChatModel.objects.create(key="real")
    setup = Setup.objects.of(model, "You listen.", {"temperature": 0.7, "top_p": 0.9, "max_new_tokens": 40}, [])
    talks = [conversations.open_live(setup, seed=number) for number in range(4)]
    for index, said in ((0, "I am worried about my exam."), (2, "And I cannot sleep.")):
        answer_together([conversations.say(talk, f"{said} {talk.seed}", index).pk for talk in talks], engine)
    engine.close()
    second = Attempt.objects.filter(turn__index=3)
    arms = dict.fromkeys(second.values_list("turn", flat=True), "real")

    told = verification.summary(
        list(verification.verify(arms, lambda model: HuggingFaceEngine(default_model, max_batch=1, threads=1)))
    )

    recorded = [attempt.provenance for attempt in second]
    assert max(each["batch_mean"] for each in recorded) > 2
    assert all(each["cached_tokens"] for each in recorded)
    assert (told["compared"], told["same"]) == (4, 4)
