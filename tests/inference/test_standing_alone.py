"""Adapters that bring more than LoRA layers are merged into a base of their own, and say what peft would say."""

from pathlib import Path

import pytest

from inference.engines.adapters import AdapterError, brings
from inference.engines.base import GenRequest, Sampling
from inference.engines.huggingface import HuggingFaceEngine

MESSAGES = [{"role": "system", "content": "You listen."}, {"role": "user", "content": "hello <calm> how are you"}]
LORA = {"r": 4, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM", "init_lora_weights": False}


def tuned(base: Path, folder: Path, tokens=(), **options) -> Path:
    """An adapter as a training would leave it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(5)
    model, tokenizer = AutoModelForCausalLM.from_pretrained(base), AutoTokenizer.from_pretrained(base)
    if tokens:
        tokenizer.add_tokens(list(tokens))
        model.resize_token_embeddings(len(tokenizer))
    model = get_peft_model(model, LoraConfig(**LORA, **options))
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if weights.requires_grad and "lora_" not in name:
                weights.add_(0.3 * torch.randn_like(weights))
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def said_by_peft(base: Path, adapter: Path) -> tuple[int, ...]:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(adapter)
    model = AutoModelForCausalLM.from_pretrained(base)
    if len(tokenizer) > model.config.vocab_size:
        model.resize_token_embeddings(len(tokenizer))
    model = PeftModel.from_pretrained(model, adapter).eval()
    text = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, tokenize=False)
    prompt = torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"]])
    output = model.generate(
        input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=24, do_sample=False
    )
    return tuple(output[0, prompt.shape[1] :].tolist())


def reply(base: Path, **options):
    engine = HuggingFaceEngine(base, threads=1, **options)
    try:
        final = list(engine.submit(GenRequest("k", MESSAGES, Sampling(temperature=0, max_new_tokens=24))))[-1]
        return final, engine.describe()
    finally:
        engine.close()


@pytest.mark.parametrize(
    ("reasons", "options"),
    [
        (["weights of the base itself", "new tokens"], {"tokens": ["<calm>"]}),
        (["DoRA"], {"use_dora": True}),
        (
            ["layers trained as a whole (modules_to_save)", "weights of the base itself"],
            {"modules_to_save": ["lm_head"]},
        ),
        (["trained tokens (trainable_token_indices)"], {"trainable_token_indices": [5, 6, 7]}),
    ],
)
def test_what_is_merged_says_what_peft_says(folder, tmp_path, reasons, options):
    adapter = tuned(folder, tmp_path / "tuned", **options)
    final, described = reply(folder, merged=adapter)

    assert brings(folder, adapter) == reasons
    assert final.output_ids == said_by_peft(folder, adapter)
    assert final.output_ids != reply(folder)[0].output_ids, "the adapter must change something, or this proves nothing"
    assert "adapter_model.safetensors" in described["adapters"][None]["files"]


def test_a_tokenizer_saved_unchanged_beside_an_adapter_counts_for_nothing(folder, tmp_path):
    assert brings(folder, tuned(folder, tmp_path / "tuned")) == []


def test_a_plain_adapter_brings_nothing_more(folder, adapters):
    assert brings(folder, adapters["a"]) == []


def test_a_folder_without_an_adapter_is_named(folder):
    with pytest.raises(AdapterError, match="no adapter_config.json"):
        brings(folder, folder)
