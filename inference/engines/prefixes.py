"""What was read of a conversation, kept for its next turn: that one then reads only what is new.

Only a saving: any worker can read a conversation anew, and what is kept is the first to go when memory is short.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch

# Less than this is read again as fast as it is found.
SHORTEST = 16


@dataclass(frozen=True)
class Prefix:
    """Tokens with their keys and values, of each layer [heads, tokens, width of a head]."""

    tokens: Sequence[int]
    keys: Sequence[torch.Tensor]
    values: Sequence[torch.Tensor]

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def bytes(self) -> int:
        return sum(part.numel() * part.element_size() for part in (*self.keys, *self.values))

    def cut(self, length: int) -> Self:
        keys, values = ([part[:, :length] for part in parts] for parts in (self.keys, self.values))
        return type(self)(self.tokens[:length], keys, values)


class Prefixes:
    """The latest prefix of each conversation, as many as fit; those not used for longest go first."""

    def __init__(self, most_bytes: int):
        self._most_bytes = most_bytes
        self._kept: OrderedDict[tuple[str, str | None], Prefix] = OrderedDict()
        self._bytes = 0

    def find(self, conversation: str, adapter: str | None, tokens: Sequence[int]) -> Prefix | None:
        """What is known of these tokens; never all of them, as the last one has to be read to go on from it."""
        kept = self._kept.get((conversation, adapter))
        if kept is None:
            return None
        self._kept.move_to_end((conversation, adapter))
        pairs = zip(kept.tokens, tokens[:-1], strict=False)
        common = next((place for place, (ours, theirs) in enumerate(pairs) if ours != theirs), None)
        length = min(len(kept), len(tokens) - 1) if common is None else common
        return kept.cut(length) if length >= SHORTEST else None

    def keep(self, conversation: str, adapter: str | None, prefix: Prefix) -> None:
        self._drop((conversation, adapter))
        if prefix.bytes > self._most_bytes:
            return
        self._kept[conversation, adapter] = prefix
        self._bytes += prefix.bytes
        while self._bytes > self._most_bytes:
            self._drop(next(iter(self._kept)))

    def clear(self) -> bool:
        """Let go of everything; whether there was anything."""
        had_some = bool(self._kept)
        self._kept.clear()
        self._bytes = 0
        return had_some

    def _drop(self, key: tuple[str, str | None]) -> None:
        if dropped := self._kept.pop(key, None):
            self._bytes -= dropped.bytes
