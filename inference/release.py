"""What stands between an engine and what a participant reads.

A reply is shown word by word, sentence by sentence or whole, and never says which model wrote it. What comes out does
not depend on how the engine happened to cut its text.
"""

from collections.abc import Callable, Iterable
from typing import Literal

import regex

Policy = Literal["token", "sentence", "whole"]
# Looks at all that would then have been shown, and gives a reason to withhold it, or None.
Screen = Callable[[str], str | None]

MODEL = "an AI program"
MAKER = "a technology company"

# Nothing else is called so: masked wherever they stand.
MODELS = (
    "SmolLM ChatGPT GPT InstructGPT DialoGPT Qwen QwQ DeepSeek Mixtral Ministral Pixtral TinyLlama CodeLlama StableLM "
    "ChatGLM InternLM OpenChat OpenHermes Nous-Hermes FastChat RWKV MPT-7B OLMo Wizard-LM Baichuan ERNIE-Bot "
    "Hunyuan Kimi-K2 MiniMax-M1 LaMDA RoBERTa BlenderBot 通义千问 千问 文心一言 混元 豆包"
).split()
MAKERS = (
    "HuggingFace HuggingFaceTB OpenAI Anthropic DeepMind Mistral-AI Meta-AI Google-AI xAI Cohere-AI StabilityAI "
    "EleutherAI Alibaba-Cloud Moonshot-AI Zhipu-AI Allen-AI LMSYS 阿里云 阿里巴巴 深度求索 智谱 百度 字节跳动"
).split()
# Also animals, first names and shops: masked only where the text speaks of a model.
WORDY_MODELS = (
    "Llama Alpaca Vicuna Koala Claude Gemini Gemma Mistral Bard Grok Falcon Phi Orca Zephyr Copilot Dolly Guanaco Yi "
    "Bloom Granite Nemotron Command-R Palm T5 BERT Kimi Ernie Bing Siri Alexa Replika Pi Hermes Nova"
).split()
WORDY_MAKERS = (
    "Meta Google Microsoft Apple Amazon Cohere Nvidia IBM Alibaba Baidu Tencent ByteDance Facebook Salesforce Databricks "
    "Inflection Stanford Berkeley"
).split()

# Chinese is written without spaces: its characters begin and end nowhere, so they do not count as letters here.
_LETTER = r"[[\p{L}\p{N}]--[\p{Han}]]"
_END = rf"(?!{_LETTER})"
# Between the parts of a name: spaces, dashes, Markdown and what cannot be seen.
_GAP = r"[\s_\-\u2010-\u2015*`\u00ad\u200b-\u200d\ufeff]{0,3}"
_SPACE = r"[\s*_\"“”'‘’`]{1,4}"
_STARTS = regex.compile(rf"(?V1)(?<!{_LETTER}){_LETTER}|\p{{Han}}")


def _spelled(name: str) -> str:
    """A name's parts with gaps between: SmolLM2 is also `Smol LM-2`, GPT also `g p t`."""
    parts = regex.findall(r"\p{Lu}?\p{Ll}+|\p{Lu}|\p{Lo}+|\p{N}+", name)
    return _GAP.join(map(regex.escape, parts))


def _any(names: Iterable[str]) -> str:
    return "(?:" + "|".join(_spelled(name) for name in sorted(set(names), key=len, reverse=True)) + ")"


def _patterns(names: tuple[str, ...]) -> dict[str, str]:
    wordy = {name for name in names if regex.fullmatch(r"\p{Ll}+", name)}
    version = rf"{_GAP}v?\p{{N}}+(?:[.,]\p{{N}}+)?\p{{L}}{{0,2}}{_END}"
    breed = (
        r"(?:instruct|chat|turbo|mini|nano|pro|plus|ultra|flash|opus|sonnet|haiku|coder|R1"
        r"|(?:(?:large|small|big)\s)?(?:language\s)?model|assistant|chat\s?bot|bot|AI|LLM)"
    )
    suffix = rf"(?:{version}|{_GAP}{breed}{_END})"
    model = rf"{_any({*MODELS, *names} - wordy)}{_LETTER}*"
    maker = rf"{_any(MAKERS)}{_LETTER}*"
    wordy_model = rf"{_any({*WORDY_MODELS, *wordy})}{_END}"
    wordy_maker = rf"{_any(WORDY_MAKERS)}{_END}"
    # An unknown maker is a row of capitalised words: "the Acme Labs", "a team at Some University".
    proper = r"(?-i:\p{Lu}[\p{L}\p{N}&.'’-]*[\p{L}\p{N}])"
    unknown = rf"{proper}(?:\s(?:(?:of|at|and|for)\s|&\s)?{proper}){{0,5}}"
    somebody = rf"(?:(?:the|a|an)\s)?(?:(?:team|people|researchers|engineers|scientists|company)\s(?:at|of|from|called)\s)?"
    by = (
        r"(?:developed|created|made|built|trained|designed|powered|programmed|provided|released|fine-?tuned)"
        rf"(?:\sand\s\p{{L}}{{4,10}})?\sby{_SPACE}"
    )
    a = rf"(?:(?:an?|the|called|named){_SPACE}){{0,2}}"
    named_model = rf"(?:{model}|{wordy_model}(?={suffix})){suffix}{{0,5}}"
    program = r"(?:(?:helpful|friendly|virtual|large|small|conversational)\s){0,2}(?:AI|artificial\sintelligence|language\smodel|chat\s?bot|assistant|LLM|program)"
    program = rf"{program}(?:\s(?:AI|language|model|assistant|chat\s?bot|program|system)){{0,3}}{_END}"
    return locals()
