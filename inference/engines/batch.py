"""Several replies computed together, one token a step, with rows that come and go between the steps."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import torch
from transformers import Cache, DynamicLayer

from inference.engines.prefixes import Prefix


class Entry(NamedTuple):
    """What the batch must know of a row: all its tokens so far, its adapter, and what is known of the first ones."""

    tokens: Sequence[int]
    adapter: str | None = None
    prefix: Prefix | None = None

    @property
    def unread(self) -> Sequence[int]:
        return self.tokens[len(self.prefix) :] if self.prefix else self.tokens


class RoomyLayer(DynamicLayer):
    """Keys and values with room to grow: a step writes one column instead of copying all of them."""

    ROOM = 64
    keys: torch.Tensor
    values: torch.Tensor

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *args, **kwargs):
        used, end = self.get_seq_length(), self.get_seq_length() + key_states.shape[-2]
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        if not used:
            self._room = [key_states, value_states]
        elif end > self._room[0].shape[-2]:
            self._room = [roomier(part, used, end + self.ROOM) for part in self._room]
        if used:
            for part, states in zip(self._room, (key_states, value_states), strict=True):
                part[:, :, used:end] = states
        self.keys, self.values = (part[:, :, :end] for part in self._room)
        return self.keys, self.values

    def hold(self, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Put these in place of all there is."""
        if not self.is_initialized:
            self.lazy_initialization(keys, values)
        self._room = [keys, values]
        self.keys, self.values = keys, values


def roomier(part: torch.Tensor, used: int, size: int) -> torch.Tensor:
    larger = part.new_empty(*part.shape[:2], size, part.shape[-1])
    larger[:, :, :used] = part[:, :, :used]
    return larger


def widened(part: torch.Tensor, columns: int) -> torch.Tensor:
    """Keys or values with empty columns put before them."""
    return torch.nn.functional.pad(part, (0, 0, columns, 0)) if columns else part


def padded(
    unread: Sequence[Sequence[int]], prefixes: Sequence[Prefix | None]
) -> tuple[torch.Tensor, int, torch.Tensor]:
    """The tokens to read, padded on the left; the columns that prefixes need before them; the mask of both."""
    width, known = max(map(len, unread)), max(len(prefix or ()) for prefix in prefixes)
    ids = torch.zeros(len(unread), width, dtype=torch.long)
    mask = torch.zeros(len(unread), known + width, dtype=torch.long)
    for row, (tokens, prefix) in enumerate(zip(unread, prefixes, strict=True)):
        ids[row, width - len(tokens) :] = torch.tensor(tokens)
        mask[row, known + width - len(tokens) :] = 1
        mask[row, known - len(prefix or ()) : known] = 1
    return ids, known, mask


class Batch:
    """The rows under way: their keys and values side by side, shorter rows padded on the left."""

    def __init__(self, model: Any, adapters: bool = False):
        self._model = model
        self._depth = model.config.get_text_config().num_hidden_layers
        self._adapters = adapters
        self.clear()

    def clear(self) -> None:
        self._layers = self._empty()
        self._mask = torch.zeros(0, 0, dtype=torch.long, device=self._model.device)
        self._names: list[str | None] = []

    def __len__(self) -> int:
        return len(self._names)

    def join(self, newcomers: Sequence[Entry]) -> torch.Tensor:
        """Read the newcomers' tokens, put them behind the other rows, and give their logits.

        The others are touched only when nothing can go wrong any more.
        """
        ids, known, mask = padded([entry.unread for entry in newcomers], [entry.prefix for entry in newcomers])
        mask = mask.to(self._model.device)
        layers, names = self._empty(), [entry.adapter for entry in newcomers]
        if known:
            self._fill(layers, [entry.prefix for entry in newcomers], known)
        logits = self._forward(ids, mask, layers, names)
        if self._names:
            mask = self._side_by_side(layers, mask)
        self._layers, self._mask = layers, mask
        self._names = self._names + names
        return logits

    def step(self, tokens: Sequence[int]) -> torch.Tensor:
        """Add one token to each row; the logits of all rows."""
        mask = torch.cat([self._mask, self._mask.new_ones(len(tokens), 1)], dim=1)
        logits = self._forward(torch.tensor(tokens).unsqueeze(1), mask, self._layers, self._names)
        self._mask = mask
        return logits

    def keep(self, rows: Sequence[int]) -> None:
        """Drop all other rows, and the padding that only they needed."""
        if len(rows) == len(self):
            return
        if not rows:
            self.clear()
            return
        index = torch.tensor(rows, device=self._mask.device)
        mask = self._mask[index]
        empty = int((mask.sum(0) == 0).long().cumprod(0).sum())
        self._mask = mask[:, empty:]
        for layer in self._layers:
            layer.hold(layer.keys[index, :, empty:], layer.values[index, :, empty:])
        self._names = [self._names[row] for row in rows]

    def prefix_of(self, row: int, tokens: Sequence[int]) -> Prefix:
        """What the batch knows of a row whose tokens are these; the last of them it may not have read."""
        places = self._mask[row].nonzero().squeeze(1)
        keys = [layer.keys[row].index_select(1, places) for layer in self._layers]
        values = [layer.values[row].index_select(1, places) for layer in self._layers]
        return Prefix(tokens[: len(places)], keys, values)

    def _fill(self, layers: Sequence[RoomyLayer], prefixes: Sequence[Prefix | None], width: int) -> None:
        """Begin the layers with what is known, padded on the left; rows of which nothing is known are all padding."""
        known = next(prefix for prefix in prefixes if prefix)
        for depth, layer in enumerate(layers):
            keys, values = (
                torch.cat(
                    [
                        widened(parts(prefix)[depth][None], width - len(prefix))
                        if prefix
                        else (like := parts(known)[depth]).new_zeros(1, like.shape[0], width, like.shape[2])
                        for prefix in prefixes
                    ]
                )
                for parts in (attrgetter("keys"), attrgetter("values"))
            )
            layer.hold(keys, values)

    def _empty(self) -> list[RoomyLayer]:
        return [RoomyLayer() for _ in range(self._depth)]

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor, layers: list[RoomyLayer], names: Sequence[str | None]):
        positions = (mask.cumsum(1) - 1).clamp_(min=0)[:, -ids.shape[1] :]
        options = {"adapter_names": [name or "__base__" for name in names]} if self._adapters else {}
        with torch.inference_mode():
            output = self._model(
                input_ids=ids.to(self._model.device),
                attention_mask=mask,
                position_ids=positions,
                past_key_values=Cache(layers=list(layers)),
                use_cache=True,
                logits_to_keep=1,
                **options,
            )
            return output.logits[:, -1].clone()

    def _side_by_side(self, layers: list[RoomyLayer], mask: torch.Tensor) -> torch.Tensor:
        """Put the rows that are here before the new ones; their common mask."""
        width = max(mask.shape[1], self._mask.shape[1])
        ours, theirs = width - self._mask.shape[1], width - mask.shape[1]
        for old, new in zip(self._layers, layers, strict=True):
            new.hold(
                torch.cat([widened(old.keys, ours), widened(new.keys, theirs)]),
                torch.cat([widened(old.values, ours), widened(new.values, theirs)]),
            )
        pad = torch.nn.functional.pad
        return torch.cat([pad(self._mask, (ours, 0)), pad(mask, (theirs, 0))])
