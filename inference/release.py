"""What stands between an engine and what a participant reads.

A reply is shown word by word, sentence by sentence or whole, and never says which model wrote it. What comes out does
not depend on how the engine happened to cut its text.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Literal

import regex

Policy = Literal["token", "sentence", "whole"]
# Looks at all that would then have been shown, and gives a reason to withhold it, or None.
Screen = Callable[[str], str | None]

MODEL = "an AI program"
MAKER = "a technology company"

# Nothing else is called so: masked wherever they stand.
MODELS = """
SmolLM ChatGPT GPT InstructGPT DialoGPT Qwen DeepSeek Mixtral Ministral Pixtral TinyLlama CodeLlama StableLM ChatGLM
InternLM OpenChat OpenHermes FastChat RWKV OLMo WizardLM Baichuan ERNIE-Bot Hunyuan LaMDA BlenderBot GitHubCopilot
通义千问 千问 文心一言 混元 豆包
"""
MAKERS = """
HuggingFace OpenAI Anthropic DeepMind Mistral-AI Meta-AI Google-AI xAI Cohere-AI Stability-AI EleutherAI Alibaba-Cloud
Moonshot-AI Zhipu-AI LMSYS 阿里云 阿里巴巴 深度求索 智谱 百度 字节跳动
"""
# Also animals, first names and shops: masked only where the text speaks of a model.
WORDY_MODELS = """
Llama Alpaca Vicuna Koala Claude Gemini Gemma Mistral Bard Grok Falcon Phi Orca Zephyr Copilot Dolly Guanaco Yi Granite
Nemotron Kimi Ernie Bing Siri Alexa Replika
"""
WORDY_MAKERS = """
Meta Google Microsoft Apple Amazon Cohere Nvidia IBM Alibaba Baidu Tencent ByteDance Facebook Salesforce Databricks
"""

# Chinese is written without spaces: its characters begin and end nowhere, so they do not count as letters here.
LETTER = r"[[\p{L}\p{N}]--[\p{Han}]]"
# Looks one character ahead, as every look ahead here must: see Mask.settled.
END = rf"(?!{LETTER})"
STARTS = regex.compile(rf"(?V1)(?<!{LETTER}){LETTER}|\p{{Han}}")
# Between the parts of a name: spaces, dashes, Markdown and what cannot be seen.
GAP = r"[\s_\-\u2010-\u2015*`\u00ad\u200b-\u200d\ufeff]{0,3}"
SPACE = r"[\s*_`\"'“”‘’\u200b-\u200d\ufeff]{1,4}"
SENTENCE = regex.compile(r".*?(?:[.!?…]+[\"'”’)\]*_]*\s+|[。！？]+|\n+)", regex.DOTALL)
# "2." at the beginning of a list's next point ends nothing.
SENTENCE_END = regex.compile(r"(?<!\d)[.!?…]+[\"'”’)\]*_]*(?=\s|$)|[。！？]+|\n")


# A character of a script without spaces is read about as fast as a short word.
SPACELESS = r"\p{Han}\p{Hiragana}\p{Katakana}"
WORD = regex.compile(rf"\s*(?:[{SPACELESS}]|[^\s{SPACELESS}]+)")
# A paced reply begins no sooner, however quick its engine is.
THINKS = 2.0  # seconds


# Asking the whole grammar takes half a millisecond, so a word is first told by so many of its letters.
GLANCE = 4


# A self-description, from its words up. `?&` calls a rule by name; the names themselves are filled in.
GRAMMAR = r"""
(?(DEFINE)
  (?P<model>        (?: %(models)s ) s? %(end)s | (?:smollm|chatgpt|qwen|deepseek|mixtral) %(letter)s+ )
  (?P<maker>        (?: %(makers)s ) %(end)s | (?:anthropic|hugging %(gap)s face) %(letter)s+ )
  (?P<wordy_model>  (?: %(wordy_models)s ) %(end)s )
  (?P<wordy_maker>  (?: %(wordy_makers)s ) %(end)s )

  (?P<kind>         (?: %(space)s | %(gap)s )
                    (?: (?:large\s|small\s)? (?:language\s)? model | assistant | chat\s?bot | bot | AI | LLM ) %(end)s )
  (?P<version>      %(gap)s (?: v?\p{N}(?:\.\p{N}+)?\p{L}{0,2} | \p{N}+(?:\.\p{N}+)?[bmk] ) %(end)s )
  (?P<edition>      %(gap)s (?: instruct | turbo | pro | ultra | flash | opus | sonnet | haiku ) %(end)s )
  (?P<detail>       (?&version) | (?&edition) | (?&kind)
                    | %(gap)s (?: chat | mini | nano | coder | it | base ) %(end)s )
  (?P<named>        (?&model) (?&detail){0,5}
                    | (?&wordy_model) (?: (?&version) | (?&edition) | (?&kind) ) (?&detail){0,4}
                    | (?&wordy_maker) (?:\s(?:cloud|research|brain))? (?&kind) (?&detail){0,3} )

  # An unknown maker is a row of capitalised words: "the Acme Labs", "a team at Some University".
  (?P<proper>       (?-i: \p{Lu} [\p{L}\p{N}&.’-]* [\p{L}\p{N}] ) )
  (?P<people>       (?: (?:the|a|an)\s )?
                    (?: (?:team|people|researchers|engineers|scientists|company)\s (?:at|of|from|called)\s )? )
  (?P<unknown>      (?&people) (?&proper) (?: \s (?: (?:of|at|and|for|the|&)\s ){0,2} (?&proper) ){0,5} )
  (?P<known>        (?&people) (?: (?&maker) | (?&wordy_maker) | (?&named) | (?&wordy_model) ) )
  (?P<by>           (?: developed | created | made | built | trained | designed | powered | programmed | released
                    | fine-?tuned ) (?: \sand\s\p{L}{4,10} )? \sby %(space)s )
  (?P<made>         ,? \s (?: (?:that|which)\s(?:is|was)\s )? (?&by) (?: (?&known) | (?&unknown) ) )

  (?P<article>      (?: (?:an?|the) %(space)s )? )
  (?P<called>       \s (?:called|named) %(space)s )
  (?P<adjective>    (?: (?:helpful|friendly|virtual|large|small|conversational)\s ){0,2} )
  (?P<program>      (?&adjective) (?: AI | artificial\sintelligence | (?:language|AI|chat)\smodel | chat\s?bot | LLM
                    | virtual\sassistant ) %(end)s
                    (?: \s (?: language | model | assistant | chat\s?bot | program | system ) %(end)s ){0,3} )
  (?P<helper>       (?&adjective) (?: assistant | model | bot | program ) %(end)s )
  (?P<itself>       (?&article) (?:
                      (?&named) (?&made)?
                    | (?&program) (?: (?&made) | (?&called) (?: (?&named) | (?&wordy_model) | (?&unknown) ) (?&made)? )
                    | (?&helper) (?: ,?\s (?&by) (?&known)
                      | (?&called) (?: (?&named) | (?&wordy_model) ) (?&made)? ) ) )
  (?P<also>         ,? \s (?:(?:and|or)\s)? (?: (?&itself) | (?&article) (?&program) ) )
  (?P<I_am>         I\sam | I\s?['’]m | I\swas )
)
(?P<clause>    I\s (?:am|was|have\sbeen)\s (?:originally\s)? (?&by) (?: (?&known) | (?&unknown) ) )
| (?P<before>  (?: (?&I_am) (?:\s(?:called|named))? | my\sname(?:\sis|['’]s) | call\sme | this\sis
               | (?:talking|chatting|speaking)\s(?:to|with) ) %(space)s )
               (?: (?&itself) | (?&article) (?&wordy_model) (?&detail){0,5} (?&made)? ) (?&also){0,3}
| (?P<from>    (?&by) | my\s (?:creator|developer|maker|designer|trainer)s? \s (?:at|are|is) %(space)s
               | (?&I_am) \sfrom %(space)s ) (?&known)
| (?P<alone>   (?&itself) (?&also){0,3} )
| (?&article)  (?&maker)
"""


def any_of(names: Iterable[str]) -> str:
    return "|".join(regex.escape(name) for name in sorted(names, key=lambda name: (-len(name), name)))


def spelled(names: Iterable[str]) -> str:
    """Each name in any spacing: SmolLM2 is also `Smol LM-2` and `s m o l l m 2`."""
    letters = (regex.findall(r"[\p{L}\p{N}]", name) for name in sorted(names, key=lambda name: (-len(name), name)))
    return "|".join(GAP.join(name) for name in letters)


@lru_cache(maxsize=64)
def names_pattern(given: frozenset[str]) -> regex.Pattern:
    names = {name for name in given if regex.search(r"[\p{L}\p{N}]{2}", name)}
    # One plain lower-case word, such as "base", may be said about anything.
    plain = {name for name in names if regex.fullmatch(r"\p{Ll}+", name)}
    return regex.compile(
        GRAMMAR
        % {
            "models": spelled({*MODELS.split(), *names} - plain),
            "makers": spelled(MAKERS.split()),
            "wordy_models": any_of({*WORDY_MODELS.split(), *plain}),
            "wordy_makers": any_of(WORDY_MAKERS.split()),
            "letter": LETTER,
            "end": END,
            "gap": GAP,
            "space": SPACE,
        },
        regex.VERSION1 | regex.IGNORECASE | regex.VERBOSE,
    )


@lru_cache(maxsize=2**15)
def can_begin(pattern: regex.Pattern, letters: str) -> bool:
    """Whether a name may begin with these, whatever follows. Most words' first letters have been looked at before."""
    return bool(pattern.fullmatch(letters, partial=True) or pattern.match(letters))


class Mask:
    """Puts a neutral phrase wherever a text says which model wrote it or who made that model.

    A name is looked for at each word's beginning and in the next REACH characters alone, so a text that is still
    growing is decided as far as no name can still be open. `names` are this model's own: keys, adapters, folders.
    """

    REACH = 200

    def __init__(self, names: Iterable[str] = ()):
        self._pattern = names_pattern(frozenset(names))

    def __call__(self, text: str) -> str:
        return self.settled(text, 0, finished=True)[0]

    def settled(self, text: str, start: int, finished: bool = False) -> tuple[str, int]:
        """What `text` from `start` on becomes, as far as more text cannot change it, and where that ends."""
        masked: list[str] = []
        position = start
        for word in STARTS.finditer(text, start):
            at = word.start()
            if at < position or not can_begin(self._pattern, text[at : at + GLANCE]):
                continue
            if not finished and self._open(text, at):
                return "".join([*masked, text[position:at]]), at
            if name := self._pattern.match(text, at, at + self.REACH):
                masked += [text[position:at], self._phrase(text, name)]
                position = name.end()
        return "".join([*masked, text[position:]]), len(text)

    def _open(self, text: str, at: int) -> bool:
        """Could what begins here reach beyond the text so far?"""
        return at + self.REACH > len(text) and bool(self._pattern.fullmatch(text, at, partial=True))

    def _phrase(self, text: str, name: regex.Match) -> str:
        if name["clause"]:
            return f"I am {MODEL}"
        if name["before"]:
            return name["before"] + MODEL
        if name["from"]:
            return name["from"] + MAKER
        phrase = MODEL if name["alone"] else MAKER
        before = text[: name.start()].rstrip(" \"'*_“‘(#>-")
        return phrase if before and before[-1] not in ".!?\n" else phrase[0].upper() + phrase[1:]


class Release:
    """Takes an engine's text piece by piece and gives out what may be shown.

    Once the screen has objected, nothing more comes out and `blocked` holds its reason.
    """

    def __init__(self, policy: Policy = "sentence", mask: Mask | None = None, screen: Screen | None = None):
        self.blocked: str | None = None
        self._policy = policy
        self._mask = mask or Mask()
        self._screen = screen
        self._text = ""
        self._settled = 0
        self._held = ""
        self._shown = ""

    def feed(self, text: str) -> list[str]:
        self._take(text, finished=False)
        if self._policy == "whole":
            return []
        if self._policy == "token":
            pieces, self._held = [self._held], ""
        else:
            pieces = SENTENCE.findall(self._held)
            self._held = self._held[sum(map(len, pieces)) :]
        return self._show(pieces)

    def finish(self, cut_off: bool = False) -> list[str]:
        """The rest. Of a reply that its token limit cut off, no half sentence is shown unless there is nothing else."""
        self._take("", finished=True)
        if cut_off and self._policy != "token":
            ends = [match.end() for match in SENTENCE_END.finditer(self._held)]
            self._held = self._held[: ends[-1]] if ends else "" if self._shown else self._held
        pieces, self._held = [self._held], ""
        return self._show(pieces)

    def _take(self, text: str, finished: bool) -> None:
        self._text += text
        masked, self._settled = self._mask.settled(self._text, self._settled, finished)
        self._held += masked

    def _show(self, pieces: list[str]) -> list[str]:
        shown = []
        for piece in filter(None, pieces):
            if self._screen and not self.blocked:
                self.blocked = self._screen(self._shown + piece)
            if self.blocked:
                break
            self._shown += piece
            shown.append(piece)
        return shown


class Pace:
    """When each piece of a reply is due, so that no arm is quicker than another: so many words a minute.

    Seconds count from the message that is answered. What comes late, after a retry say, is due at once, and the rest
    when it would have been anyway. A reply that appears word by word is cut into words here, however it came.
    """

    def __init__(self, words_a_minute: int, policy: Policy = "sentence", delay: float = THINKS):
        self._seconds_a_word = 60 / words_a_minute
        self._by_word = policy == "token"
        self._delay = delay
        self._words = 0
        self._held = ""

    def feed(self, pieces: Iterable[str], finished: bool = False) -> list[tuple[float, str]]:
        return [(self._due(piece), piece) for piece in (self._cut(pieces, finished) if self._by_word else pieces)]

    def _cut(self, pieces: Iterable[str], finished: bool) -> list[str]:
        self._held += "".join(pieces)
        words = WORD.findall(self._held)
        rest = self._held[sum(map(len, words)) :]
        if finished:
            self._held = ""
            return [*words, rest] if rest else words
        # The last word may still grow.
        self._held = "".join([*words[-1:], rest])
        return words[:-1]

    def _due(self, piece: str) -> float:
        self._words += len(WORD.findall(piece))
        return self._delay + self._words * self._seconds_a_word
