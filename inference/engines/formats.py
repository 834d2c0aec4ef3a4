"""How older models want a conversation written, for tokenizers that bring no chat template of their own.

Each format is a chat template in the transformers sense. It writes the token that begins a text itself, so the text is
encoded without special tokens. A format's stops end a reply that goes on to speak for the other side.
"""

from typing import NamedTuple


class Format(NamedTuple):
    template: str
    stops: tuple[str, ...] = ()


def named_sides(opening: str, user: str, reply: str) -> str:
    """One line of text in which each side is named before it speaks; a reply ends with the end token."""
    return (
        "{{ bos_token }}" + opening + "{% for m in messages %}"
        "{% if m['role'] == 'system' %}{{ m['content'] + ' ' }}"
        "{% elif m['role'] == 'user' %}{{ '" + user + " ' + m['content'] + ' ' }}"
        "{% else %}{{ '" + reply + " ' + m['content'] + eos_token }}{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}" + reply + "{% endif %}"
    )


FORMATS = {
    "koala": Format(named_sides("BEGINNING OF CONVERSATION: ", "USER:", "GPT:"), ("USER:", "GPT:")),
    "vicuna": Format(named_sides("", "USER:", "ASSISTANT:"), ("USER:", "ASSISTANT:")),
    "alpaca": Format(
        "{{ bos_token }}{% for m in messages %}"
        "{% if m['role'] == 'system' %}{{ m['content'] + '\n\n' }}"
        "{% elif m['role'] == 'user' %}{{ '### Instruction:\n' + m['content'] + '\n\n' }}"
        "{% else %}{{ '### Response:\n' + m['content'] + eos_token + '\n\n' }}{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}{{ '### Response:\n' }}{% endif %}",
        ("### Instruction:", "### Response:"),
    ),
    "llama-2": Format(
        "{% set ns = namespace(system='') %}{% for m in messages %}"
        "{% if m['role'] == 'system' %}{% set ns.system = '<<SYS>>\n' + m['content'] + '\n<</SYS>>\n\n' %}"
        "{% elif m['role'] == 'user' %}{{ bos_token + '[INST] ' + ns.system + m['content'] + ' [/INST]' }}"
        "{% set ns.system = '' %}"
        "{% else %}{{ ' ' + m['content'] + ' ' + eos_token }}{% endif %}{% endfor %}",
        ("[INST]",),
    ),
    "chatml": Format(
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
        ("<|im_end|>", "<|im_start|>"),
    ),
    "zephyr": Format(
        "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + eos_token + '\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
        ("<|user|>", "<|system|>", "<|assistant|>"),
    ),
}
