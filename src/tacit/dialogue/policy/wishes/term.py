"""What wishes add to a policy: to the slate's logits, and to the decision to recommend."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tacit.catalog import Catalog
from tacit.dialogue.policy.plackett_luce import NEG
from tacit.dialogue.policy.wishes.features import START, excluded, features, unmet
from tacit.dialogue.policy.wishes.state import Wishes, WishReader
from tacit.types import Dialogue

DECISION_START = 6.0  # nats on the log-odds of recommending, before any training
KNOWN = 2_000  # dialogues whose wishes are kept
NEW = ("wish.weights", "wish.decision")  # what policies of before these had no weights for: they keep the start


class WishTerm(nn.Module):
    """Few weights: one a feature (``features.FEATURES``), and one for a turn that asks.

    ``add_features`` is learnt, and belongs to every reading of the logits: training, ranking, drawing. ``restrict`` is
    not: in what is drawn, ``margin`` nats are taken off for each thing asked for that an item lacks, and what was
    plainly excluded is out of reach.
    """

    def __init__(self, catalog: Catalog, margin: float, size: int) -> None:
        super().__init__()
        self._catalog, self._margin, self._size = catalog, margin, size
        self._known: dict[int, tuple[Dialogue, Wishes]] = {}
        self.weights = nn.Parameter(torch.tensor(START))
        self.decision = nn.Parameter(torch.tensor(DECISION_START))

    @cached_property
    def reader(self) -> WishReader:
        """Made at the first use: a catalogue of a million items takes a while to read."""
        return WishReader(self._catalog)

    def read(self, contexts: Sequence[Dialogue]) -> list[Wishes]:
        """A turn of PPO is drawn from and scored several times: the same ``Dialogue`` is read once."""
        found = []
        for context in contexts:
            known = self._known.get(id(context))  # the entry holds the dialogue, so no other can have its id
            if known is None:
                known = self._known[id(context)] = (context, self.reader.read(context))
            found.append(known[1])
        while len(self._known) > KNOWN:
            self._known.pop(next(iter(self._known)))
        return found

    def forget(self) -> None:
        """What was read: the words of people."""
        self._known.clear()
        if "reader" in self.__dict__:
            self.reader.forget()

    def __getstate__(self) -> dict[str, Any]:
        """A copy reads for itself."""
        return {**self.__dict__, "_known": {}}

    def add_features(self, logits: Tensor, wishes: Sequence[Wishes]) -> Tensor:
        """logits [B, n] + weights · features, in place where no gradient forbids it; only rows that wish cost."""
        rows = [row for row, state in enumerate(wishes) if state.wanted or state.unwanted or state.liked]
        if not rows:
            return logits
        logits, device = logits.float(), logits.device
        with torch.autocast(device.type, enabled=False):
            if not torch.is_grad_enabled():  # a row at a time: its features are six times as large as its logits
                for row in rows:
                    logits[row] += self.weights @ torch.from_numpy(features(wishes[row], self.reader.index)).to(device)
                return logits
            found = np.stack([features(wishes[row], self.reader.index) for row in rows])
            term = torch.einsum("rfn,f->rn", torch.from_numpy(found).to(device), self.weights)
            return logits.index_add(0, torch.tensor(rows, device=device), term)

    def restrict_(self, logits: Tensor, wishes: Sequence[Wishes], named: int) -> Tensor:
        """The margin and the exclusions, in place. ``named`` items are out already: so many more must be left."""
        for row, state in enumerate(wishes):
            if state.wanted:
                lacking = torch.from_numpy(unmet(state, self.reader.index)).to(logits.device)
                logits[row] -= self._margin * lacking
            if state.unwanted or state.seen or state.rejected or state.twins:
                out = torch.from_numpy(excluded(state, self.reader.index, self._size + named)).to(logits.device)
                logits[row].masked_fill_(out, NEG)
        return logits

    def log_odds(self, wishes: Sequence[Wishes]) -> Tensor:
        """[B], added to the log-odds of recommending: ``decision`` where the last user turn asks for something that
        some item meets at least in part, else 0."""
        asks = [float(state.asks and self._can_meet(state)) for state in wishes]
        return self.decision * torch.tensor(asks, device=self.decision.device)

    def _can_meet(self, wishes: Wishes) -> bool:
        return not wishes.wanted or any(self.reader.index.satisfied(wish.part).any() for wish in wishes.wanted)
