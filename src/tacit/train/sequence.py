"""Training the model of what comes next on histories of training users, and reading features of lists from it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tacit.lists import Histories, Ints, Lists, ListSplit
from tacit.models.list_features import Featured
from tacit.models.sequence import HEADS, NextItems, SequenceConfig, next_items_loss
from tacit.progress import progress
from tacit.run import Stage
from tacit.train.best_epoch import BestEpoch

Rows = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Windows:
    """Windows of T places: the window w holds the interactions ``start[w]`` … ``end[w] - 1`` of the histories, of one
    user, whose history ends at ``last[w]``."""

    start: Rows
    end: Rows
    last: Rows

    def __len__(self) -> int:
        return len(self.start)

    def take(self, rows: Rows) -> Windows:
        return Windows(self.start[rows], self.end[rows], self.last[rows])


def windows(histories: Histories, users: Ints, size: int, shift: int) -> Windows:
    """Every interaction of ``users`` in one window, which holds ``size`` or fewer; the cuts lie ``shift`` on."""
    starts, ends, lasts = [], [], []
    for user in users.tolist():
        first, last = int(histories.offsets[user]), int(histories.offsets[user + 1])
        cuts = [first, *range(first + shift % size, last, size), last] if last - first > size else [first, last]
        pieces = [(a, b) for a, b in pairwise(cuts) if b - a > 1]
        starts += [a for a, _ in pieces]
        ends += [b for _, b in pieces]
        lasts += [last] * len(pieces)
    return Windows(np.array(starts, np.int64), np.array(ends, np.int64), np.array(lasts, np.int64))


class Reader:
    """Windows of histories as tensors."""

    def __init__(self, histories: Histories, positive_above: float, ahead: int) -> None:
        stars = histories.ratings - histories.ratings.mean()
        self.liked = (histories.ratings > positive_above).astype(np.float32)
        self.items, self.ahead = histories.items.astype(np.int64), ahead
        self.given = np.stack([stars, self.liked], axis=-1).astype(np.float32)

    def inputs(self, part: Windows) -> tuple[Tensor, Tensor]:
        """items [B, T] and what they were given [B, T, 2]; pads at the end repeat the last interaction."""
        at = self._at(part)
        return torch.from_numpy(self.items[at]), torch.from_numpy(self.given[at])

    def targets(self, part: Windows) -> tuple[Tensor, Tensor]:
        """The next items [B, T, A] of each place and, for each head, whether they count [B, T, heads, A]."""
        at = self._at(part)
        ahead = at[..., None] + np.arange(1, self.ahead + 1)
        real = (part.start[:, None] + np.arange(at.shape[1]) < part.end[:, None])[..., None]
        known = real & (ahead < part.last[:, None, None])
        ahead = np.minimum(ahead, part.last[:, None, None] - 1)
        counts = np.stack([known, known * self.liked[ahead]], axis=2).astype(np.float32)
        return torch.from_numpy(self.items[ahead]), torch.from_numpy(counts)

    def _at(self, part: Windows) -> Rows:
        longest = int((part.end - part.start).max())
        at: Rows = np.minimum(part.start[:, None] + np.arange(longest), part.end[:, None] - 1)
        return at


@dataclass(frozen=True)
class SequenceJob:
    """A model of what comes next to be learnt from ``users`` in ``folder``; its epoch is chosen on validation users."""

    folder: Path
    config: SequenceConfig
    split: ListSplit
    users: Ints
    seed: int
    device: str
    dtype: str

    @property
    def stage(self) -> Stage:
        return Stage(self.folder.name, self.folder)

    def train(self) -> NextItems:
        """The trained model; one that is done is only read."""
        config = self.config
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            model = NextItems(config, self.split.n_items)
        model.to(self.device)
        optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
        reader = Reader(self.split.histories, self.split.positive_above, config.ahead)
        state = BestEpoch(model, optimizer, self.stage)
        with progress(config.epochs, self.folder.name) as bar:
            bar.resume(state.epoch)
            while state.epoch < config.epochs and state.waited < config.patience:
                for group in optimizer.param_groups:
                    group["lr"] = config.lr * (1.0 - 0.9 * state.epoch / config.epochs)
                loss = self._epoch(model, optimizer, reader, state.epoch)
                valid = self._valid_loss(model, reader)
                state.add({"loss": loss, "valid_loss": valid, "minus_valid_loss": -valid}, "minus_valid_loss")
                bar.advance(note=f"validation loss {valid:.4f}")
        state.finish()
        return model

    def _epoch(self, model: NextItems, optimizer: torch.optim.Optimizer, reader: Reader, epoch: int) -> float:
        """One pass over the histories, cut anew; the mean loss of a next item."""
        model.train()
        draw = np.random.default_rng([self.seed, epoch])
        torch.manual_seed(int(draw.integers(2**31)))  # dropout, the same after a resume
        size = self.config.window
        known = windows(self.split.histories, self.users, size, int(draw.integers(size)))
        total = np.zeros(2)
        for part in _batches(known, self.config.batch, draw):
            loss, count = self._loss(model, reader, part, draw)
            optimizer.zero_grad(set_to_none=True)
            (loss / count).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            total += float(loss.detach()), count
        return float(total[0] / total[1])

    @torch.no_grad()
    def _valid_loss(self, model: NextItems, reader: Reader) -> float:
        model.eval()
        draw = np.random.default_rng([self.seed, 2**20])
        known, total = windows(self.split.histories, self.split.valid_users, self.config.window, 0), np.zeros(2)
        for part in _batches(known, self.config.batch, draw):
            loss, count = self._loss(model, reader, part, draw)
            total += float(loss), count
        return float(total[0] / total[1])

    def _loss(self, model: NextItems, reader: Reader, part: Windows, draw: np.random.Generator) -> tuple[Tensor, float]:
        """Sum over both heads, and how many next items there were."""
        items, given = (tensor.to(self.device) for tensor in reader.inputs(part))
        targets, counts = (tensor.to(self.device) for tensor in reader.targets(part))
        negatives = torch.from_numpy(draw.integers(self.split.n_items, size=self.config.negatives)).to(self.device)
        with torch.autocast(torch.device(self.device).type, torch.bfloat16, enabled=self.dtype == "bfloat16"):
            queries = model(items, given)
            against = model.shared_logits(queries, negatives).float()
            wanted = model.logits(queries, targets).float()
        return next_items_loss(wanted, against, counts).sum(), float(counts[:, :, 0].sum())


def _batches(known: Windows, size: int, draw: np.random.Generator) -> Iterator[Windows]:
    """Windows of like length together, the batches in random order."""
    by_length = np.argsort(known.end - known.start + draw.random(len(known)) * 8, kind="stable")
    parts = np.array_split(by_length, max(1, -(-len(by_length) // size)))
    for k in draw.permutation(len(parts)):
        yield known.take(parts[k])


@torch.no_grad()
def sequence_features(
    model: NextItems, split: ListSplit, parts: Sequence[Lists], config: SequenceConfig
) -> list[Featured]:
    """Each candidate's logit of being among the next items, and the next liked ones, given the history before."""
    model.eval()
    reader = Reader(split.histories, split.positive_above, config.ahead)
    names = tuple(f"sequence, {head}" for head in HEADS)
    found = []
    for lists in parts:
        shape = lists.items.shape
        values, relations = np.empty((*shape, len(HEADS)), np.float32), np.zeros((*shape, shape[1], 0), np.float32)
        for rows, part, places in _readings(split.histories, lists, config.window):
            values[rows] = _logits(model, reader, part, places, lists.items[rows])
        found.append(Featured(lists, names, values, relations))
    return found


def _logits(model: NextItems, reader: Reader, part: Windows, places: tuple[Rows, Rows], items: Ints) -> Floats:
    """[L, C, heads]: L lists, each read at its (window, place)."""
    device = next(model.parameters()).device
    inputs = (tensor.to(device) for tensor in reader.inputs(part))
    window, place = (torch.from_numpy(each).to(device) for each in places)
    candidates = torch.from_numpy(items.astype(np.int64)).to(device)
    logits: Floats = model.logits(model(*inputs)[window, place], candidates).transpose(1, 2).float().cpu().numpy()
    return logits


def _readings(
    histories: Histories, lists: Lists, size: int, at_once: int = 64
) -> Iterator[tuple[Rows, Windows, tuple[Rows, Rows]]]:
    """All lists, a batch of windows at a time: rows of the lists, the windows, and each list's (window, place).

    A user's windows lie half a window apart and a list is read in the first that reaches it, so that it is told of the
    whole history before it, or of half a window at the least.
    """
    half = max(size // 2, 1)
    number = np.maximum(-(-(lists.start.astype(np.int64) - size) // half), 0)
    first = histories.offsets[lists.users] + number * half
    starts, window = np.unique(first, return_inverse=True)
    place = histories.offsets[lists.users] + lists.start - 1 - first
    ends = np.zeros(len(starts), np.int64)
    np.maximum.at(ends, window, first + place + 1)
    by_length = np.argsort(ends - starts, kind="stable")
    rank = np.empty_like(by_length)
    rank[by_length] = np.arange(len(by_length))
    order = np.argsort(rank[window], kind="stable")
    cuts = np.searchsorted(rank[window][order], np.arange(0, len(starts) + at_once, at_once))
    for batch, (begin, end) in enumerate(pairwise(cuts)):
        rows, known = order[begin:end], by_length[batch * at_once : (batch + 1) * at_once]
        part = Windows(starts[known], ends[known], ends[known])
        yield rows, part, (rank[window[rows]] - batch * at_once, place[rows])
