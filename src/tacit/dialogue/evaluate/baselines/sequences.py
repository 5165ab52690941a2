"""SASRec and BERT4Rec over the items named so far: one small transformer, two ways of training it.

SASRec (Kang & McAuley 2018) reads from left to right and foretells every next item; BERT4Rec (Sun et al. 2019) reads
both ways and foretells items that are masked. Both with the cross-entropy over the whole catalogue, which lifts SASRec
to BERT4Rec's level (Klenitskiy & Vasilev 2023, "Turning Dross Into Gold Loss").
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tacit.catalog import Catalog
from tacit.dialogue.evaluate.baselines.counts import mentions_in_order
from tacit.run.limits import above, at_least, learning_rate, share
from tacit.types import Dialogue

Scores = npt.NDArray[np.float32]
Kind = Literal["sasrec", "bert4rec"]
log = logging.getLogger("tacit")
_NOTHING = -100  # no target


@dataclass
class SequenceConfig:
    width: int = at_least(8, default=64)
    layers: int = at_least(1, default=2)
    heads: int = at_least(1, default=2)
    length: int = at_least(1, default=30)  # items named before that are read, the latest ones
    dropout: float = share(default=0.3)
    masked: float = share(default=0.3)  # BERT4Rec: items masked in training, beside the last one
    epochs: int = at_least(1, default=60)
    patience: int = at_least(1, default=4)  # looks at validation without a gain
    look_every: int = at_least(1, default=2)  # epochs
    batch: int = at_least(1, default=128)
    lr: float = learning_rate(default=2e-3)
    weight_decay: float = at_least(0.0, default=0.01)
    smallest_gain: float = above(0.0, default=1e-5)


class SequenceNetwork(nn.Module):
    """Items [B, T] → logits over the catalogue. Token n_items is "start" or "mask", n_items + 1 is padding."""

    def __init__(self, counts: npt.NDArray[np.int64], causal: bool, config: SequenceConfig) -> None:
        super().__init__()
        n_items = len(counts)
        self.special, self.padding, self.causal = n_items, n_items + 1, causal
        self.items = nn.Embedding(n_items + 2, config.width, padding_idx=self.padding)
        nn.init.normal_(self.items.weight, std=0.02)
        self.places = nn.Embedding(config.length + 1, config.width)
        layer = nn.TransformerEncoderLayer(
            config.width, config.heads, 4 * config.width, config.dropout, "gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.bias = nn.Parameter(torch.from_numpy(np.log(counts + 0.1)).float())

    def states(self, items: Tensor) -> Tensor:
        """[B, T] → [B, T, width]."""
        length = items.shape[1]
        states = self.dropout(self.items(items) + self.places.weight[:length])
        ahead = torch.ones(length, length, dtype=torch.bool, device=items.device).triu(1) if self.causal else None
        read: Tensor = self.norm(self.body(states, mask=ahead, src_key_padding_mask=items == self.padding))
        return read

    def forward(self, items: Tensor, places: Tensor) -> Tensor:
        """Logits [n, n_items] at the n ``places`` of items [B, T] that are True: a row costs a whole catalogue."""
        logits: Tensor = self.states(items)[places] @ self.items.weight[: self.special].T + self.bias
        return logits


class Sequences:
    """A trained network as a ranker."""

    def __init__(self, catalog: Catalog, network: SequenceNetwork, length: int) -> None:
        self._catalog, self.network, self._length = catalog, network, length

    @torch.no_grad()
    def scores(self, contexts: Sequence[Dialogue]) -> Scores:
        """[len(contexts), n_items]."""
        self.network.eval()
        named = [rows(self._catalog, mentions_in_order(context))[-self._length :] for context in contexts]
        special = self.network.special
        known = [[special, *row] if self.network.causal else [*row, special] for row in named]
        items = padded(known, self.network.padding)
        last = torch.zeros(items.shape, dtype=torch.bool)
        last[torch.arange(len(known)), torch.tensor([len(row) - 1 for row in known])] = True
        return np.asarray(self.network(items, last).numpy(), dtype=np.float32)


def train(
    kind: Kind,
    catalog: Catalog,
    dialogues: Sequence[Dialogue],
    config: SequenceConfig,
    validate: Callable[[Callable[[Sequence[Dialogue]], Scores]], float],
    seed: int,
) -> tuple[Sequences, dict[str, float]]:
    """The epoch that ``validate`` (higher is better) likes best, and what it gave: epoch → value."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # weights and dropout
        network = SequenceNetwork(catalog.counts, kind == "sasrec", config)
        ranker = Sequences(catalog, network, config.length)
        named = [rows(catalog, mentions_in_order(dialogue))[-config.length :] for dialogue in dialogues]
        named = [row for row in named if row]
        optimizer = torch.optim.AdamW(network.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        best, kept, looks, left = -np.inf, copy.deepcopy(network.state_dict()), dict[str, float](), config.patience
        for epoch in range(1, config.epochs + 1):
            network.train()
            for part in torch.randperm(len(named), generator=generator).split(config.batch):
                loss = loss_of(network, [named[i] for i in part.tolist()], config.masked, generator)
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(network.parameters(), 1.0)
                optimizer.step()
            if epoch % config.look_every:
                continue
            looks[str(epoch)] = value = validate(ranker.scores)
            log.info("%s: epoch %d, validation %.4f", kind, epoch, value)
            if value > best + config.smallest_gain:
                best, kept, left = value, copy.deepcopy(network.state_dict()), config.patience
            elif (left := left - 1) == 0:
                break
        network.load_state_dict(kept)
    return ranker, looks


def loss_of(
    network: SequenceNetwork, named: Sequence[Sequence[int]], masked: float, generator: torch.Generator
) -> Tensor:
    """Mean cross-entropy in nats of every next item, or of the masked ones: the last, and a share of the others."""
    if network.causal:
        inputs = padded([[network.special, *row[:-1]] for row in named], network.padding)
        targets = padded(named, _NOTHING)
    else:
        inputs, items = padded(named, network.padding), padded(named, _NOTHING)
        hidden = torch.rand(inputs.shape, generator=generator) < masked
        hidden[torch.arange(len(named)), torch.tensor([len(row) - 1 for row in named])] = True
        hidden &= items != _NOTHING
        targets = items.masked_fill(~hidden, _NOTHING)
        inputs = inputs.masked_fill(hidden, network.special)
    wanted = targets != _NOTHING
    return F.cross_entropy(network(inputs, wanted), targets[wanted])


def padded(rows: Sequence[Sequence[int]], value: int) -> Tensor:
    """[len(rows), longest], ``value`` behind the end of each."""
    longest = max(map(len, rows))
    return torch.tensor([[*row, *[value] * (longest - len(row))] for row in rows])


def rows(catalog: Catalog, items: Sequence[str]) -> list[int]:
    """Catalogue rows of items as they were named; one that is named again at once counts once."""
    found = [catalog.index(item) for item in items]
    return [row for k, row in enumerate(found) if k == 0 or found[k - 1] != row]
