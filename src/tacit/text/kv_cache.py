"""What a language model has read so far, row by row: chunks are appended, and finished rows leave."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from transformers.cache_utils import DynamicLayer

from tacit.text.lm import read, trunk
from tacit.text.packed import Packing, packed_states, packs

_ROOM = 64  # tokens by which the padded cache grows at once


@dataclass(frozen=True)
class Prefix:
    """What one row was read as: keys and values of each layer, [heads, n, d], of its first n tokens."""

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    def __len__(self) -> int:
        return int(self.keys[0].shape[1])

    @property
    def bytes(self) -> int:
        return sum(held.numel() * held.element_size() for held in (*self.keys, *self.values))

    def first(self, n: int) -> Prefix:
        """Of fewer tokens, in the same memory."""
        return Prefix(tuple(k[:, :n] for k in self.keys), tuple(v[:, :n] for v in self.values))


class KVCache(Protocol):
    """The keys and values of B growing rows."""

    def feed(self, chunks: Sequence[Sequence[int]]) -> Tensor:
        """Append a chunk of at least one token to each row; the last hidden state of each, [B, width]."""

    def keep(self, rows: Tensor) -> None:
        """Only these rows, in this order, from now on."""

    def repeat(self, n: int) -> None:
        """Each row n times, one behind the other."""

    def join(self, other: KVCache) -> bool:
        """Take in the rows of another cache of the same model, behind these; False where this kind cannot."""

    def prefix(self, row: int) -> Prefix | None:
        """A copy of all that a row has read; None where this kind cannot."""


def kv_cache(lm: Any, room: int, begun: Sequence[Prefix | None] = ()) -> KVCache:
    """A cache with room for ``room`` tokens a row (a guess: it grows). No gradient flows through it.

    Its rows are empty, or begin with what was ``begun``, one each, which only a model that packs can have.
    """
    if not packs(lm):
        if any(begun):
            raise ValueError("this model's cache cannot begin with a prefix")
        return _Padded(lm)
    cache = _Packed(lm, room)
    if any(begun):
        cache.begin(begun)
    return cache


class _Packed:
    """Rows begin at the left and hold no padding between chunks: row b is ``lengths[b]`` tokens of the buffers."""

    def __init__(self, lm: Any, room: int) -> None:
        self.lm, self.room = lm, room
        self.keys: list[Tensor] = []  # of each layer, [B, heads, room, d]
        self.values: list[Tensor] = []
        self.lengths = torch.zeros(0, dtype=torch.long, device=lm.device)
        self._rows = self._places = self.lengths
        self._longest = 0  # after the chunk that is being read
        self._seen: Tensor | None = None
        self._flat: Tensor | None = None  # where the chunk's keys go in a layer's buffer, [T · heads]

    def begin(self, rows: Sequence[Prefix | None]) -> None:
        """Rows that were read before, as far as their prefixes go."""
        lengths = [len(row) if row else 0 for row in rows]
        self.lengths = torch.tensor(lengths, device=self.lengths.device)
        self._rows = self._places = self.lengths
        room, some = max(self.room, *lengths), next(row for row in rows if row)
        self.keys = _of_rows([row.keys if row else None for row in rows], some.keys, room)
        self.values = _of_rows([row.values if row else None for row in rows], some.values, room)

    def prefix(self, row: int) -> Prefix | None:
        n = int(self.lengths[row])
        keys, values = ([buffer[row, :, :n].clone() for buffer in held] for held in (self.keys, self.values))
        return Prefix(tuple(keys), tuple(values))

    def feed(self, chunks: Sequence[Sequence[int]]) -> Tensor:
        device, first = self.lengths.device, not len(self.lengths)
        packing = Packing([len(chunk) for chunk in chunks], device)
        if first:
            self.lengths = torch.zeros(len(chunks), dtype=torch.long, device=device)
        self._rows, self._places = packing.rows, packing.places + self.lengths[packing.rows]
        self._flat = None
        after = self.lengths + packing.counts
        self._longest = int(after.max())
        self._seen = None if first else self._mask(packing)
        ids = torch.tensor([token for chunk in chunks for token in chunk], device=device)
        states = packed_states(self.lm, ids, self._places, packing, self)
        self.lengths = after
        return states[packing.ends - 1]

    def _mask(self, packing: Packing) -> Tensor | None:
        """[B, 1, width, longest] bool: a token sees its row up to itself."""
        upto = self.lengths.unsqueeze(1) + torch.arange(packing.width, device=self.lengths.device)
        if packing.width == 1 and bool((upto == self._longest - 1).all()):
            return None
        return (torch.arange(self._longest, device=self.lengths.device) <= upto.unsqueeze(-1)).unsqueeze(1)

    def write(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor] | None:
        first = layer == len(self.keys)
        if first:
            shape = (len(self.lengths), keys.shape[1], max(self.room, self._longest), keys.shape[2])
            self.keys.append(keys.new_zeros(shape))
            self.values.append(values.new_zeros(shape))
        elif self.keys[layer].shape[2] < self._longest:
            more = (0, 0, 0, self._longest - self.keys[layer].shape[2] + self.room // 2)
            self.keys[layer] = torch.nn.functional.pad(self.keys[layer], more)
            self.values[layer] = torch.nn.functional.pad(self.values[layer], more)
        if self._flat is None:
            heads, room = self.keys[layer].shape[1:3]
            of_head = torch.arange(heads, device=keys.device) * room
            self._flat = (self._rows.unsqueeze(1) * heads * room + of_head + self._places.unsqueeze(1)).flatten()
        for buffer, new in ((self.keys[layer], keys), (self.values[layer], values)):
            buffer.view(-1, new.shape[-1]).index_copy_(0, self._flat, new.reshape(-1, new.shape[-1]))
        if first:
            return None
        return self.keys[layer][:, :, : self._longest], self.values[layer][:, :, : self._longest]

    def visible(self, dtype: torch.dtype) -> Tensor | None:
        if self._seen is not None and self._seen.dtype != dtype:  # once for all layers: each would turn it into numbers
            self._seen = torch.zeros(self._seen.shape, dtype=dtype, device=self._seen.device).masked_fill_(
                ~self._seen, -torch.inf
            )
        return self._seen

    def keep(self, rows: Tensor) -> None:
        self._select(rows)

    def repeat(self, n: int) -> None:
        if n > 1:
            self._select(torch.arange(len(self.lengths), device=self.lengths.device).repeat_interleave(n))

    def join(self, other: KVCache) -> bool:
        if not isinstance(other, _Packed) or other.lm is not self.lm:
            return False
        for mine, theirs in ((self.keys, other.keys), (self.values, other.values)):
            for layer, (one, two) in enumerate(zip(mine, theirs, strict=True)):
                room = max(one.shape[2], two.shape[2])
                mine[layer] = torch.cat([_roomy(one, room), _roomy(two, room)])
        self.lengths = torch.cat([self.lengths, other.lengths])
        self._rows = self._places = self.lengths
        return True

    def _select(self, rows: Tensor) -> None:
        self.lengths = self.lengths[rows]
        for buffers in (self.keys, self.values):
            for layer, buffer in enumerate(buffers):
                buffers[layer] = buffer[rows]


def _of_rows(rows: Sequence[Sequence[Tensor] | None], like: Sequence[Tensor], room: int) -> list[Tensor]:
    """Rows of layers [heads, n, d], n a row's own → of each layer [B, heads, room, d], zeros behind each row's end."""
    buffers = [part.new_zeros(len(rows), part.shape[0], room, part.shape[2]) for part in like]
    for place, row in enumerate(rows):
        for buffer, part in zip(buffers, row or (), strict=False):
            buffer[place, :, : part.shape[1]] = part
    return buffers


def _roomy(buffer: Tensor, room: int) -> Tensor:
    """[B, heads, room', d] → [B, heads, room, d]."""
    missing = room - buffer.shape[2]
    return torch.nn.functional.pad(buffer, (0, 0, 0, missing)) if missing else buffer


class _Padded:
    """transformers' own cache, for the models that cannot be packed: chunks are padded on the left, and pads masked.

    Layers that keep a state instead of keys (Qwen3.5, LFM2, Mamba's in Granite 4 and Falcon-H1) cannot be told of pads
    behind their beginning, and some drop that state where more than one token comes; models that are told no positions
    may count pads as distance (MPT): both go on by single tokens alone, and a longer chunk is read with all that
    came before it.
    """

    def __init__(self, lm: Any) -> None:
        self.lm, self.past = lm, None
        self.mask = torch.zeros(0, 0, dtype=torch.long, device=lm.device)
        self._read: list[list[int]] | None = []  # what each row has read; None where pads between chunks do no harm
        self._placed = "position_ids" in inspect.signature(trunk(lm).forward).parameters

    def feed(self, chunks: Sequence[Sequence[int]]) -> Tensor:
        if self._read is not None:
            before = self._read or [[] for _ in chunks]
            self._read = [[*row, *chunk] for row, chunk in zip(before, chunks, strict=True)]
            if max(map(len, chunks)) > 1:
                self.past, chunks = None, self._read
        states = self._append(chunks)
        assert self.past is not None
        if self._placed and not any(hasattr(layer, "conv_states") for layer in self.past.layers):
            self._read = None
        return states

    def _append(self, chunks: Sequence[Sequence[int]]) -> Tensor:
        width, device = max(map(len, chunks)), self.mask.device
        ids = torch.tensor([[0] * (width - len(chunk)) + list(chunk) for chunk in chunks], device=device)
        real = torch.tensor([[0] * (width - len(chunk)) + [1] * len(chunk) for chunk in chunks], device=device)
        self.mask = torch.cat([self.mask, real], dim=1) if self.past is not None else real
        out = read(
            self.lm,
            input_ids=ids,
            attention_mask=self.mask,
            position_ids=(self.mask.cumsum(1) - 1).clamp(min=0)[:, -width:],
            past_key_values=self.past,
            use_cache=True,
        )
        if self.past is None:
            self._make_room(out.past_key_values)
        self.past = out.past_key_values
        states: Tensor = out.last_hidden_state[:, -1]
        return states

    def _make_room(self, past: Any) -> None:
        past.layers = [_Roomy.of(layer) if type(layer) is DynamicLayer else layer for layer in past.layers]

    def keep(self, rows: Tensor) -> None:
        assert self.past is not None
        if self._read is not None:
            self._reorder(rows)
        else:
            self.past.batch_select_indices(rows)
        self.mask = self.mask[rows]

    def repeat(self, n: int) -> None:
        assert self.past is not None
        if n > 1 and self._read is not None:
            self._reorder(torch.arange(len(self.mask), device=self.mask.device).repeat_interleave(n))
        elif n > 1:
            self.past.batch_repeat_interleave(n)
            self._make_room(self.past)
        if n > 1:
            self.mask = self.mask.repeat_interleave(n, dim=0)

    def _reorder(self, rows: Tensor) -> None:
        """The one selection of rows that layers with a state know."""
        assert self.past is not None and self._read is not None
        self.past.reorder_cache(rows)
        self._read = [self._read[row] for row in rows.tolist()]

    def join(self, other: KVCache) -> bool:
        return False  # layers of any kind: what they hold, only transformers knows

    def prefix(self, row: int) -> Prefix | None:
        return None


class _Roomy(DynamicLayer):
    """A cache layer with room for ``_ROOM`` more tokens: appending by concatenation copies all of it at every step,
    which took more than half of the time on a CPU."""

    _buffers: tuple[Tensor, Tensor] | None = None

    @classmethod
    def of(cls, layer: DynamicLayer) -> _Roomy:
        assert layer.keys is not None and layer.values is not None
        roomy = cls()
        roomy.lazy_initialization(layer.keys, layer.values)
        roomy.keys, roomy.values = layer.keys, layer.values
        return roomy

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Append [B, heads, t, width] to keys and values; returns all of both."""
        assert self.keys is not None and self.values is not None
        had = self.keys.shape[-2]
        have = had + key_states.shape[-2]
        if self._buffers is None or self._buffers[0].shape[-2] < have:
            self._buffers = (_with_room(self.keys, have + _ROOM), _with_room(self.values, have + _ROOM))
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[..., had:have, :] = states
        self.keys, self.values = (buffer[..., :have, :] for buffer in self._buffers)
        return self.keys, self.values

    def batch_select_indices(self, indices: Tensor) -> None:
        super().batch_select_indices(indices)
        self._buffers = None

    def reorder_cache(self, beam_idx: Any) -> None:
        super().reorder_cache(beam_idx)
        self._buffers = None

    def batch_repeat_interleave(self, repeats: int) -> None:
        super().batch_repeat_interleave(repeats)
        self._buffers = None


def _with_room(held: Tensor, tokens: int) -> Tensor:
    buffer = held.new_empty(*held.shape[:-2], tokens, held.shape[-1])
    buffer[..., : held.shape[-2], :] = held
    return buffer
