"""What a model is given to read, character by character, in each named prompt format."""

from hashlib import sha256

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from inference.engines.base import GenRequest, Sampling
from inference.engines.formats import FORMATS
from inference.engines.huggingface import HuggingFaceEngine, ModelError

ONE = [{"role": "system", "content": "You listen."}, {"role": "user", "content": "Hi"}]
TWO = [*ONE, {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "I am sad"}]


def rendered(name, messages):
    texts, _ = render_jinja_template(
        [messages],
        chat_template=FORMATS[name].template,
        add_generation_prompt=True,
        bos_token="<s>",
        eos_token="</s>",
    )
    return texts[0]


@pytest.mark.parametrize(
    ("name", "text"),
    {
        "koala": "<s>BEGINNING OF CONVERSATION: You listen. USER: Hi GPT:",
        "vicuna": "<s>You listen. USER: Hi ASSISTANT:",
        "alpaca": "<s>You listen.\n\n### Instruction:\nHi\n\n### Response:\n",
        "llama-2": "<s>[INST] <<SYS>>\nYou listen.\n<</SYS>>\n\nHi [/INST]",
        "chatml": "<|im_start|>system\nYou listen.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
        "zephyr": "<|system|>\nYou listen.</s>\n<|user|>\nHi</s>\n<|assistant|>\n",
    }.items(),
)
def test_a_first_message_reads(name, text):
    assert rendered(name, ONE) == text


@pytest.mark.parametrize(
    ("name", "text"),
    {
        "koala": "<s>BEGINNING OF CONVERSATION: You listen. USER: Hi GPT: Hello.</s>USER: I am sad GPT:",
        "vicuna": "<s>You listen. USER: Hi ASSISTANT: Hello.</s>USER: I am sad ASSISTANT:",
        "alpaca": "<s>You listen.\n\n### Instruction:\nHi\n\n### Response:\nHello.</s>\n\n"
        "### Instruction:\nI am sad\n\n### Response:\n",
        "llama-2": "<s>[INST] <<SYS>>\nYou listen.\n<</SYS>>\n\nHi [/INST] Hello. </s><s>[INST] I am sad [/INST]",
        "chatml": "<|im_start|>system\nYou listen.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        "<|im_start|>assistant\nHello.<|im_end|>\n<|im_start|>user\nI am sad<|im_end|>\n<|im_start|>assistant\n",
        "zephyr": "<|system|>\nYou listen.</s>\n<|user|>\nHi</s>\n<|assistant|>\nHello.</s>\n"
        "<|user|>\nI am sad</s>\n<|assistant|>\n",
    }.items(),
)
def test_a_second_message_reads(name, text):
    assert rendered(name, TWO) == text


def test_a_named_format_stands_in_for_the_tokenizers_template(folder):
    engine = HuggingFaceEngine(folder, threads=1, template="koala")
    *_, final = engine.submit(GenRequest("k", TWO, Sampling(temperature=0, max_new_tokens=4)))
    text = engine._tokenizer.decode(final.prompt_ids)
    engine.close()

    assert text == (
        "<|im_start|>BEGINNING OF CONVERSATION: You listen. USER: Hi GPT: Hello.<|im_end|>USER: I am sad GPT:"
    )
    assert engine.describe()["template_sha256"] == sha256(FORMATS["koala"].template.encode()).hexdigest()


def test_an_unknown_format_is_refused_with_those_there_are(folder):
    with pytest.raises(ModelError, match="There are: koala, vicuna"):
        HuggingFaceEngine(folder, template="koalla")
