"""`register_model`: a model that cannot be served is refused with every reason, and one that can is stored whole."""

import json
import shutil
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from inference.models import ChatModel
from inference.pool import load
from ratings.studyfile import publishing
from tests.factories import UserFactory, study_source
from tests.inference.misbehaving import serving
from tests.inference.test_standing_alone import tuned
from tests.inference.tiny import build_adapter

pytestmark = pytest.mark.django_db


@pytest.fixture
def server():
    with serving() as server:
        yield server


def register(*arguments) -> str:
    said = StringIO()
    call_command("register_model", *map(str, arguments), stdout=said)
    return said.getvalue()


def refused(*arguments) -> list[str]:
    said = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("register_model", *map(str, arguments), stdout=StringIO(), stderr=said)
    assert ended.value.code == 1
    return said.getvalue().splitlines()


def copy_of(folder, where, **changes):
    shutil.copytree(folder, where)
    config = json.loads((where / "config.json").read_text())
    (where / "config.json").write_text(json.dumps(config | changes))
    return where


def test_a_folder_is_stored_with_its_hashes_and_described(folder):
    said = register("willow", "--path", folder, "--names", "Larkspur, Ms Larch", "--rows", 3)

    model = ChatModel.objects.get(key="willow")
    assert (model.engine, model.base, model.options) == ("huggingface", str(folder), {"rows": 3})
    assert "model.safetensors" in model.hashes
    assert {"willow", "llama", "Larkspur", "Ms Larch"} <= set(model.names)
    assert "model" not in model.names, "a folder's name that says nothing is a word like others"
    assert said.startswith("willow is registered.")
    for part in (
        "LlamaForCausalLM (llama)",
        "512 tokens",
        "float32 on cpu",
        "the tokenizer's chat template",
        "24 tokens",
    ):
        assert part in said
    assert model.hashes["model.safetensors"][:12] in said


def test_the_same_again_changes_nothing(folder):
    register("willow", "--path", folder)
    before = ChatModel.objects.values().get(key="willow")

    assert register("willow", "--path", folder).startswith("willow is unchanged.")
    assert ChatModel.objects.values().get(key="willow") == before


def test_an_adapter_shares_its_base(folder, adapters):
    said = register("willow", "--path", folder, "--adapter", adapters["a"])

    model = ChatModel.objects.get(key="willow")
    assert (model.adapter, model.stands_alone) == (str(adapters["a"]), False)
    assert "adapter/adapter_model.safetensors" in model.hashes
    assert "LORA, rank 4" in said
    assert "shares its base" in said


def test_the_layers_an_adapter_is_on_are_named_once_by_their_kind(folder, adapters, tmp_path):
    adapter = shutil.copytree(adapters["a"], tmp_path / "tuned")
    config = json.loads((adapter / "adapter_config.json").read_text())
    paths = [f"model.layers.{layer}.self_attn.{kind}_proj" for layer in (0, 1) for kind in "qkvo"]
    mlp = [f"model.layers.{layer}.mlp.{kind}_proj" for layer in (0, 1) for kind in ("gate", "up", "down")]
    (adapter / "adapter_config.json").write_text(json.dumps(config | {"target_modules": paths + mlp}))

    said = register("willow", "--path", folder, "--adapter", adapter)

    assert "on down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj\n" in said


def test_an_adapter_with_tokens_of_its_own_stands_alone_and_is_served_so(folder, tmp_path):
    adapter = tuned(folder, tmp_path / "calm", tokens=["<calm>"])
    said = register("willow", "--path", folder, "--adapter", adapter)

    model = ChatModel.objects.get(key="willow")
    engine = load(model)
    engine.close()
    assert (model.stands_alone, model.variant) == (True, None)
    assert "stands alone: it brings weights of the base itself, new tokens" in said
    assert "adapter_model.safetensors" in engine.describe()["adapters"][None]["files"]


def test_an_older_model_is_served_in_a_named_prompt_format(folder, tmp_path):
    old = copy_of(folder, tmp_path / "old")
    (old / "chat_template.jinja").unlink()

    (fault,) = refused("willow", "--path", old)
    assert "has no chat template" in fault
    assert "koala" in fault
    assert "koala (preset)" in register("willow", "--path", old, "--template", "koala")
    assert ChatModel.objects.get(key="willow").options == {"template": "koala"}


def test_every_fault_is_told_at_once_and_nothing_is_stored(tmp_path):
    faults = refused("a key", "--path", tmp_path / "away", "--adapter", tmp_path, "--template", "tulip", "--rows", 0)

    assert len(faults) == 6
    for part in ("cannot be a key", "--rows", "no prompt format 'tulip'", "no folder", "adapter_config.json"):
        assert any(part in fault for fault in faults)
    assert not ChatModel.objects.filter(key="a key").exists()


def test_code_of_a_models_own_is_not_run(folder, tmp_path):
    strange = copy_of(folder, tmp_path / "strange", model_type="tulip", auto_map={"AutoModel": "modeling_tulip.Tulip"})

    assert refused("willow", "--path", strange) == [
        f"The model in {strange} (tulip) comes with code of its own. Such code is never run here."
    ]


def test_an_adapters_folder_is_no_model(adapters):
    (fault, *_) = refused("willow", "--path", adapters["a"])

    assert "It is an adapter" in fault


def test_weights_that_do_not_fit_their_config_are_refused(folder, tmp_path):
    (fault,) = refused("willow", "--path", copy_of(folder, tmp_path / "deeper", num_hidden_layers=3))

    assert "cannot be loaded" in fault
    assert "weights are missing" in fault


@pytest.mark.parametrize(
    ("config", "part"), [({"num_hidden_layers": 3}, "it has 42 matrices, 28 fit"), ({"hidden_size": 32}, "other sizes")]
)
def test_an_adapter_of_another_base_is_refused(folder, tmp_path, config, part):
    from transformers import AutoConfig, LlamaForCausalLM

    other = copy_of(folder, tmp_path / "other", **config)
    LlamaForCausalLM(AutoConfig.from_pretrained(other)).save_pretrained(other)
    adapter = build_adapter(tmp_path / "adapter", other, seed=1)

    (fault,) = refused("willow", "--path", folder, "--adapter", adapter)
    assert "was made for another base" in fault
    assert part in fault


def test_files_that_are_no_weights_are_refused(folder, tmp_path):
    broken = copy_of(folder, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"half a download")

    (fault,) = refused("willow", "--path", broken)
    assert "cannot be loaded" in fault


@pytest.fixture
def in_a_published_study(folder):
    """A model's own folder, and a study that it speaks in."""

    def publish(copy):
        register("willow", "--path", copy)
        arms = [{"key": key, "model": "willow", "system": f"You are {key}."} for key in ("linden", "rowan")]
        items = [{"key": f"item-{n}", "prompt": f"Worry number {n}."} for n in range(1, 7)]
        source = study_source(arms=arms, items=items, replies=None, checks=None)
        publishing.load(source, "small-study.yaml", lambda name: b"", UserFactory(), publish_it=True)
        return copy

    return publish


def test_what_speaks_in_a_published_study_stays_the_same(folder, adapters, tmp_path, in_a_published_study):
    copy = in_a_published_study(copy_of(folder, tmp_path / "copy"))
    before = ChatModel.objects.values().get(key="willow")
    (copy / "generation_config.json").write_text('{"eos_token_id": [1, 2]}')

    (other_files,) = refused("willow", "--path", copy)
    (other_model,) = refused("willow", "--path", folder, "--adapter", adapters["a"])

    assert "would no longer be the same (hashes). Register it under another key." in other_files
    assert "(base, adapter, hashes)" in other_model
    assert ChatModel.objects.values().get(key="willow") == before


def test_names_and_rows_may_change_while_a_study_is_published(folder, tmp_path, in_a_published_study):
    copy = in_a_published_study(copy_of(folder, tmp_path / "copy"))

    assert register("willow", "--path", copy, "--rows", 2, "--names", "Larch").startswith("willow is changed.")


def test_what_no_published_study_uses_may_become_another_model(folder, tmp_path):
    register("willow", "--path", folder)
    other = copy_of(folder, tmp_path / "other")

    assert register("willow", "--path", other).startswith("willow is changed.")
    assert ChatModel.objects.get(key="willow").base == str(other)


def test_weights_on_one_base_are_served_in_one_format(folder, adapters):
    register("willow", "--path", folder)

    (fault,) = refused("aspen", "--path", folder, "--adapter", adapters["a"], "--template", "koala")
    assert "already served in another prompt format, to willow" in fault


def test_the_default_models_key_stays_its_own(folder):
    assert refused("smollm2-135m", "--path", folder) == ["smollm2-135m is the default model's key. Choose another one."]


def test_a_server_is_asked_and_stored(server):
    said = register("willow", "--server", f"{server.url}/", "--model", "larch", "--extra-body", '{"min_p": 0.1}')

    model = ChatModel.objects.get(key="willow")
    assert (model.engine, model.base, model.served_as) == ("openai", server.url, "larch")
    assert model.options == {"extra_body": {"min_p": 0.1}}
    assert model.names == ["willow", "larch"]
    assert server.asked[0]["min_p"] == 0.1
    assert "4 tokens" in said


def test_a_servers_model_is_masked_by_the_last_part_of_its_name_too(server):
    server.models = ["grove/larch"]
    register("willow", "--server", server.url, "--model", "grove/larch")

    assert ChatModel.objects.get(key="willow").names == ["willow", "grove/larch", "larch"]


def test_a_model_that_the_server_does_not_list_is_refused(server):
    (fault,) = refused("willow", "--server", server.url, "--model", "yew")

    assert "It lists: larch." in fault
    assert not ChatModel.objects.filter(key="willow").exists()


def test_a_server_that_does_not_answer_is_refused(server):
    server.answers = [(500, {}, {"error": "no"})]

    (fault,) = refused("willow", "--server", server.url, "--model", "larch")
    assert fault == "The model is there and does not answer: The server answered HTTP 500."


def test_a_servers_key_comes_from_the_environment_only(server, monkeypatch):
    arguments = ("willow", "--server", server.url, "--model", "larch", "--key-env", "GROVE_KEY")
    assert "GROVE_KEY" in refused(*arguments)[0]

    monkeypatch.setenv("GROVE_KEY", "s3cret")
    said = register(*arguments)
    assert server.keys == ["Bearer s3cret"]
    assert ChatModel.objects.get(key="willow").options == {"key_env": "GROVE_KEY"}
    assert "s3cret" not in said


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("gpu-1:8000", "http:// or https://"),
        ("http://", "http:// or https://"),
        ("http://gpu:port/v1", "not an address"),
        ("http://me:s3cret@gpu-1/v1", "--key-env"),
        ("http://gpu-1/v1?key=s3cret", "must end with its path"),
    ],
)
def test_addresses_that_are_none_are_refused_without_repeating_them(url, part):
    (fault,) = refused("willow", "--server", url, "--model", "larch")

    assert part in fault
    assert "s3cret" not in fault


def test_an_adapter_of_a_server_is_a_model_name(server):
    (fault,) = refused("willow", "--server", server.url, "--model", "larch", "--adapter", "somewhere")

    assert "model name of its own" in fault


def test_what_is_not_json_is_no_extra_body(server):
    assert "not JSON" in refused("willow", "--server", server.url, "--model", "larch", "--extra-body", "{")[0]
    assert "JSON object" in refused("willow", "--server", server.url, "--model", "larch", "--extra-body", "[]")[0]


@pytest.mark.parametrize("arguments", [["willow"], ["willow", "--path", "x", "--server", "y"], ["w", "--server", "y"]])
def test_a_wrong_command_line_is_a_matter_of_usage(arguments):
    with pytest.raises(CommandError):
        register(*arguments)
