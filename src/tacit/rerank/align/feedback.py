"""Feedback of a recommender on texts: how well a reranker orders a user's lists when it reads this text about them.

RLRF4Rec (arXiv 2410.05939), section III: the recommender's metric is the reward of the language model. Two things are
added here. A user's reward comes from a ranker that was trained without the user, since one that knows the labels by
heart cannot tell texts apart; and no user outside the training users can be scored.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
import torch

from tacit.metrics.lists import in_order, kar_map, log_likelihood, ndcg
from tacit.rerank.lists.lists import Lists
from tacit.rerank.lists.past import Past
from tacit.rerank.ranker.features import Featured
from tacit.rerank.ranker.listwise import FeatureBatch, Listwise
from tacit.rerank.ranker.rerankers import Knowledge, ListBatch, Reranker
from tacit.run.files import atomic_write, read_lines, says_when_damaged
from tacit.run.progress import progress
from tacit.types import Dialogue, Floats32, Floats64, Group, Ints32, Sample, Scored, Scorer, Turn

Rows = npt.NDArray[np.int64]
K = 5  # where both metrics are cut
Reward = Literal["ndcg", "likelihood"]


def folds(train_users: Ints32, k: int, seed: int) -> list[Ints32]:
    """The training users, shuffled, in ``k`` disjoint parts of equal size (± 1), each ascending."""
    shuffled = np.random.default_rng(seed).permutation(train_users)
    return [np.sort(part) for part in np.array_split(shuffled, k)]


def context(user: int | str, prompt: str) -> Dialogue:
    """What a scorer and a writer see of one user: the prompt as the only turn so far."""
    return Dialogue(str(user), str(user), (Turn("user", prompt),))


class Encoder(Protocol):
    """Texts → vectors. The users come along because a text is read beside its user's prompt, along the user's axes."""

    def __call__(self, users: Sequence[int], texts: Sequence[tuple[str, ...]]) -> Floats32:
        """float32 [n, d] for n users (repeats allowed), each with one text or several that are read together."""
        ...


class TextRanker(Protocol):
    """A ranker of fixed lists that reads one text vector a list."""

    def __call__(self, rows: Rows, vectors: Floats32) -> tuple[Floats32, Floats32]:
        """For n rows of the lists (repeats allowed) and n vectors [n, d]: scores [n, C], and each list's loss [n]."""
        ...


class ModelOnTexts:
    """A trained model as a ``TextRanker`` over ``lists``, with their features for one that reads these.

    The items keep the texts of ``knowledge``. ``past`` is for rerankers that read it.
    """

    def __init__(
        self,
        model: Reranker | Listwise,
        lists: Lists | Featured,
        knowledge: Knowledge,
        past: Past | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        self.model, self.lists, self.past = model.to(device).eval(), lists, past
        self.knowledge, self.device = knowledge.to(device), device

    @torch.no_grad()
    def __call__(self, rows: Rows, vectors: Floats32) -> tuple[Floats32, Floats32]:
        scores = self.model(self._batch(rows), self.knowledge, torch.from_numpy(vectors).to(self.device)).float()
        lists = self.lists.lists if isinstance(self.lists, Featured) else self.lists
        labels = torch.from_numpy(lists.labels[rows]).to(scores)
        losses = torch.vmap(lambda s, y: self.model.loss(s[None], y[None]))(scores, labels)
        return scores.cpu().numpy(), losses.cpu().numpy()

    def _batch(self, rows: Rows) -> ListBatch | FeatureBatch:
        if isinstance(self.lists, Featured):
            return FeatureBatch.of(self.lists.take(rows), self.device)
        return ListBatch.of(self.lists.take(rows), self.device, self.past)


class RerankerScorer:
    """``tacit.types.Scorer`` over one-turn contexts: how well the user's lists are ordered under the text of the turn.

    ``rankers[f]`` scores the users of ``folds[f]`` and must not have been trained on them. One ranker trained on all
    training users with one fold that holds them all is the in-sample reward, as the paper's text reads.

    Channels, each a mean over the user's lists, higher is better: ``ndcg`` (NDCG@5), ``map`` (KAR's MAP@5), ``fit``
    (minus the ranker's own loss, nats), ``even`` and ``odd`` (NDCG@5 of every second list, in time, for
    ``pairs.split_half``), ``likelihood`` (``metrics.lists.log_likelihood``, nats), the same of every
    second list, and ``lists``, their number. A user without lists has 0 everywhere. The score is the channel
    ``reward``: ``ndcg``, as in the paper, or ``likelihood``, which moves with every score where NDCG@5 moves only when
    two candidates change places.
    """

    name = "ranker"

    def __init__(
        self,
        rankers: Sequence[TextRanker],
        folds: Sequence[Ints32],
        lists: Lists,
        encode: Encoder,
        reward: Reward = "ndcg",
        batch: int = 1024,
    ) -> None:
        self.rankers, self.encode, self.reward, self.batch = rankers, encode, reward, batch
        self._fold = {int(user): f for f, fold in enumerate(folds) for user in fold}
        self._labels = lists.labels
        self._order = np.argsort(lists.users, kind="stable")
        self._users = lists.users[self._order]

    def score(self, contexts: Sequence[Dialogue], turns: Sequence[Turn]) -> list[tuple[float, dict[str, float]]]:
        """Raises ``ValueError`` for a user who is in no fold: validation and test users have no say in training."""
        return [(one[self.reward], one) for one in self.channels(*self.read(contexts, turns))]

    def read(self, contexts: Sequence[Dialogue], turns: Sequence[Turn]) -> tuple[list[int], Floats32]:
        """Whom n texts are about, and their vectors [n, d]. Raises as ``score`` does."""
        users = [int(context.user) for context in contexts]
        outside = sorted({user for user in users if user not in self._fold})
        if outside:
            raise ValueError(
                f"users {outside[:5]} are not among the {len(self._fold)} training users whose feedback may be used: "
                "a score of theirs would leak validation or test labels into the alignment"
            )
        return users, self.encode(users, [(turn.text,) for turn in turns])

    def channels(self, users: list[int], vectors: Floats32) -> list[dict[str, float]]:
        """Every channel of n texts about ``users``."""
        texts, rows, places = self._pairs_of_text_and_list(users)
        values = self._values(texts, rows, vectors, np.array([self._fold[user] for user in users], dtype=np.int64))
        return _channels(texts, places, values, len(users))

    def _pairs_of_text_and_list(self, users: list[int]) -> tuple[Rows, Rows, Rows]:
        """Every text with every list of its user: (number of the text, row of the list, place among the user's)."""
        first = np.searchsorted(self._users, users, side="left")
        counts = np.searchsorted(self._users, users, side="right") - first
        texts = np.repeat(np.arange(len(users)), counts)
        places = np.arange(len(texts)) - np.repeat(np.cumsum(counts) - counts, counts)
        return texts, self._order[first[texts] + places], places

    def _values(self, texts: Rows, rows: Rows, vectors: Floats32, fold_of: Rows) -> Floats64:
        """NDCG, MAP, minus the loss, and the likelihood of each pair: [4, n]."""
        values = np.zeros((4, len(texts)))
        with progress(len(texts), "scoring lists under texts") as bar:
            for f, ranker in enumerate(self.rankers):
                of_fold = np.flatnonzero(fold_of[texts] == f)
                for start in range(0, len(of_fold), self.batch):
                    part = of_fold[start : start + self.batch]
                    scores, losses = ranker(rows[part], vectors[texts[part]])
                    labels = self._labels[rows[part]]
                    ordered = in_order(scores, labels)
                    values[:, part] = ndcg(ordered, K), kar_map(ordered, K), -losses, log_likelihood(scores, labels)
                    bar.advance(len(part))
        return values


def _channels(texts: Rows, places: Rows, values: Floats64, n: int) -> list[dict[str, float]]:
    """Means over each text's lists, by name, for n texts."""

    def mean(column: Floats64, where: npt.NDArray[np.bool_]) -> Floats64:
        counts = np.bincount(texts[where], minlength=n)
        means: Floats64 = np.bincount(texts[where], weights=column[where], minlength=n) / counts.clip(min=1)
        return means

    everything, even = np.ones(len(texts), dtype=bool), places % 2 == 0
    columns = {
        "ndcg": mean(values[0], everything),
        "map": mean(values[1], everything),
        "fit": mean(values[2], everything),
        "even": mean(values[0], even),
        "odd": mean(values[0], ~even),
        "likelihood": mean(values[3], everything),
        "likelihood_even": mean(values[3], even),
        "likelihood_odd": mean(values[3], ~even),
        "lists": np.bincount(texts, minlength=n).astype(np.float64),
    }
    return [dict(zip(columns, row, strict=True)) for row in np.stack(list(columns.values()), axis=1).tolist()]


def score_samples(
    scorer: Scorer, users: Sequence[int], prompts: Sequence[str], texts: Sequence[Sequence[str]]
) -> list[Group]:
    """One group a user: ``texts[i]`` are the samples of ``prompts[i]`` about ``users[i]``, in the order given."""
    cases = list(zip(users, prompts, texts, strict=True))
    contexts = [context(user, prompt) for user, prompt, samples in cases for _ in samples]
    turns = [Turn("agent", text) for _, _, samples in cases for text in samples]
    scores = iter(zip(contexts, turns, scorer.score(contexts, turns), strict=True))
    return [Group(tuple(_scored(*next(scores), scorer.name) for _ in samples)) for _, _, samples in cases]


def write_groups(groups: Sequence[Group], path: Path) -> None:
    """JSON lines, one a user: the prompt, and each text with its score and its channels."""
    lines = []
    for group in groups:
        state = group.options[0].context
        texts = [{"text": o.sample.text, "score": o.score, "channels": dict(o.channels)} for o in group.options]
        row = {"user": state.user, "prompt": state.turns[0].text, "by": group.options[0].by, "texts": texts}
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    atomic_write(path, "".join(lines))


def read_groups(path: Path) -> list[Group]:
    """What ``write_groups`` wrote."""
    groups = []
    remedy = f"delete {path} to score its texts again."
    rows = list(read_lines(path, remedy))
    with says_when_damaged(path, remedy):
        for row in rows:
            state = context(row["user"], row["prompt"])
            scored = (
                _scored(state, Turn("agent", o["text"]), (o["score"], o["channels"]), row["by"]) for o in row["texts"]
            )
            groups.append(Group(tuple(scored)))
    return groups


def _scored(state: Dialogue, turn: Turn, result: tuple[float, dict[str, float]], by: str) -> Scored:
    score, channels = result
    return Scored(state, Sample((), (), (), (), turn.text), score, by, channels)
