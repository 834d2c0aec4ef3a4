"""What a model is given to read, character by character, in each named prompt format."""

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from inference.engines.formats import FORMATS

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
