"""What every stage of a rerank run reads: ratings, lists, prompts, texts as vectors. Rebuilt, never stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from tacit.data.ratings.table import Ratings
from tacit.rerank.lists.lists import Card, ListSplit, ListTest
from tacit.rerank.ranker.collaborative import interactions as interaction_matrix
from tacit.rerank.ranker.collaborative import mean_vectors, svd_vectors, tfidf_vectors
from tacit.rerank.ranker.tokens import Knowledge
from tacit.rerank.writer.prompts import SHOWN, filled, listed_prompt, short_prompt, user_prompt
from tacit.rerank.writer.texts import Texts
from tacit.rerank.writer.vectors import Mode, Projection, read_texts, text_vectors
from tacit.rerank.writer.writers import SMALL
from tacit.run.limits import above, at_least
from tacit.text.gguf import SMOLLM2
from tacit.text.lm import LMConfig
from tacit.types import Floats32, InputError

Prompt = Literal["numbered", "listed", "kar"]


@dataclass
class KnowledgeConfig:
    # small (trained here from composed texts) | endpoint | none (no language model at all) | smollm2, a GGUF file, a
    # local folder or a hub name
    writer: str = "small"
    url: str = ""  # endpoint only: up to and including /v1
    model: str = ""  # the model's name at the endpoint; without one, another way to name the writer
    # endpoint only: of each request, over our own; null leaves one out: {max_tokens: null, max_completion_tokens: 400}
    parameters: dict[str, Any] = field(default_factory=dict)
    # numbered (of writers that are trained here) | listed (for a chat model of a few hundred million weights) | kar
    # (for large ones: every rating that a text may tell) | auto: numbered where trained, listed for smollm2, else kar
    prompt: Literal["auto", "numbered", "listed", "kar"] = "auto"
    # a model that is given learns to write composed texts first, as the small writer does, by the settings of `writer`
    tune: bool = False
    encoder: str = "minilm"  # minilm | hashing | a hub name or folder such as bert-base-uncased
    mode: Mode = "clean"  # clean (the answer alone) | kar_input (history and answer, cut at 512 tokens, as KAR)
    # axes of the vectors that a reranker reads: what the texts tell of SVD vectors of the training users' ratings; 0 =
    # every dimension, as KAR
    components: int = at_least(0, default=16)
    samples: int = at_least(1, default=10)  # N texts a training user and round
    temperature: float = above(0.0, default=1.0, high=100.0)
    top_p: float = above(0.0, default=0.95, high=1.0)
    max_tokens: int = at_least(1, default=160)
    shown: int = at_least(1, default=SHOWN)  # ratings in a numbered or listed prompt
    # texts composed for a writer to learn from: the small one learns from as many, or a few more, the same number for
    # each user
    composed: int = at_least(1, default=12_000)
    lm: LMConfig = field(default_factory=lambda: replace(SMALL))  # of the small writer

    def __post_init__(self) -> None:
        if self.model and not self.url and self.writer in ("small", self.model):
            self.writer, self.model = self.model, ""

    @property
    def trained(self) -> bool:
        """Does the writer of round 0 come out of a training on composed texts?"""
        return self.writer == "small" or self.tune

    @property
    def asked_by(self) -> Prompt:
        """The kind of prompt, ``auto`` resolved."""
        if self.prompt != "auto":
            return self.prompt
        if self.trained:
            return "numbered"
        return "listed" if self.writer == SMOLLM2 else "kar"

    def conflicts(self) -> Iterator[tuple[str, object, str]]:
        if self.trained and self.prompt not in ("auto", "numbered"):
            yield "prompt", self.prompt, "auto where a writer is trained on composed texts, which go with numbered ones"
        if self.tune and self.writer in ("endpoint", "none"):
            yield "tune", self.tune, f"false: nothing can be tuned where writer={self.writer}"
        if self.model and self.writer != "endpoint":
            yield "model", self.model, f"left out where writer={self.writer}: a server's model needs writer=endpoint"


@dataclass(frozen=True)
class TextReader:
    """Texts → vectors, scaled over the training users' first texts: a ``feedback.Encoder``.

    Several texts about one user are read as the mean of their vectors.
    A text about a training user is scaled by what the texts about others taught.
    """

    config: KnowledgeConfig
    folder: Path
    prompts: Mapping[int, str]  # by user
    scaling: Projection | None
    device: str
    dtype: str
    folds: Sequence[Projection] = ()  # of the training users, each fitted on the others
    fold_of: Mapping[int, int] = field(default_factory=dict)  # by training user

    def __call__(self, users: Sequence[int], texts: Sequence[tuple[str, ...]]) -> Floats32:
        """float32 [n, d] for n users (repeats allowed) and the one or several texts about each."""
        counts = [len(of_user) for of_user in texts]
        prompts = [self.prompts[user] for user, n in zip(users, counts, strict=True) for _ in range(n)]
        answers = [filled(p, text) for p, text in zip(prompts, chain.from_iterable(texts), strict=True)]
        inputs = read_texts(prompts, answers, self.config.mode)
        rows = text_vectors(inputs, self.config.encoder, self.folder, self.device, self.dtype)
        vectors = np.stack([part.mean(0) for part in np.split(rows, np.cumsum(counts)[:-1])]) if counts else rows
        if self.scaling is None:
            return vectors
        scaled = self.scaling(vectors)
        fold = np.array([self.fold_of.get(user, -1) for user in users])
        for k, scaling in enumerate(self.folds):
            scaled[fold == k] = scaling(vectors[fold == k])
        return scaled


@dataclass(frozen=True)
class RerankData:
    """``ratings`` and ``split`` are for trainers; ``test`` is for the evaluator, and for prompts of test users."""

    ratings: Ratings
    split: ListSplit
    test: ListTest
    card: Card
    config: KnowledgeConfig
    cache: Path  # of texts and vectors

    @cached_property
    def users(self) -> list[int]:
        """Everyone who has a list, in rising order."""
        parts = [self.split.train_users, self.split.valid_users, self.test.users]
        return sorted(int(user) for user in np.concatenate(parts))

    @cached_property
    def prompts(self) -> dict[int, str]:
        """What the writer is asked about each user."""
        return {user: self._prompt(user) for user in self.users}

    def _prompt(self, user: int) -> str:
        ratings, histories, shown = self.ratings, self.split.histories, self.config.shown
        if self.config.asked_by == "kar":
            return user_prompt(ratings, histories, user)
        prompt = listed_prompt if self.config.asked_by == "listed" else short_prompt
        return prompt(ratings, histories, user, shown)

    def reading(self, first_texts: Texts, device: str, dtype: str) -> TextReader:
        """Scaled by the training users' ``first_texts``, so that texts of later rounds are read alike.

        The axes are those along which these texts tell where the ratings before the cut, which a writer was
        told, put their users; a training user's texts are read along what the others' tell.
        """
        raw = TextReader(self.config, self.cache, self.prompts, None, device, dtype)
        vectors = raw(self.users, [first_texts[u] for u in self.users])
        train_users = np.sort(self.split.train_users)  # in the order of self.users
        of_train = vectors[np.isin(self.users, train_users)]
        if self._taste is not None:
            places = self.places[train_users]
            folds = Projection.cross_fitted(of_train, places)
            fold_of = {int(user): row % len(folds) for row, user in enumerate(train_users)}
            return replace(raw, scaling=Projection.ridge(of_train, places), folds=folds, fold_of=fold_of)
        return replace(raw, scaling=Projection.fit(of_train))

    @cached_property
    def _taste(self) -> Floats32 | None:
        """Where the training users' ratings put each item, [n_items, components]; None where texts are read in every
        dimension."""
        return self._svd(self.config.components) if self.config.components else None

    @cached_property
    def places(self) -> Floats32:
        """Where the ratings before the cut put each user along the axes of the ratings, [n_users, components]."""
        if self._taste is None:
            raise InputError("users have no place without axes of the ratings: set some knowledge.components.")
        return mean_vectors(self.split.histories, self._taste)

    def _svd(self, width: int) -> Floats32:
        matrix = interaction_matrix(self.split.histories, self.split.train_users, self.split.n_items)
        return svd_vectors(matrix, width)

    @property
    def item_texts(self) -> list[str]:
        """Long descriptions where there are any, else title and attributes."""
        return [self.ratings.descriptions.get(item.id) or item.text for item in self.ratings.items]

    def vectors(self, texts: Sequence[str], device: str, dtype: str) -> Floats32:
        """As the run's encoder reads them, unscaled; kept in the cache."""
        return text_vectors(texts, self.config.encoder, self.cache, device=device, dtype=dtype)

    def item_vectors(self, reading: TextReader) -> Floats32:
        """The items' own texts as vectors, [n_items, d]."""
        vectors = self.vectors(self.item_texts, reading.device, reading.dtype)
        if self._taste is not None:
            rated = self._taste.any(1)
            return Projection.ridge(vectors[rated], self._taste[rated])(vectors)
        return Projection.fit(vectors)(vectors)

    def knowledge(self, texts: Texts, reading: TextReader) -> Knowledge:
        """User vectors from ``texts`` (zeros for users without a list) beside the items'."""
        vectors = reading(self.users, [texts[u] for u in self.users])
        return self._beside(vectors, self.item_vectors(reading), self._taste)

    def _beside(self, of_users: Floats32, items: Floats32, places: Floats32 | None) -> Knowledge:
        user = np.zeros((len(self.ratings.users), of_users.shape[1]), np.float32)
        user[self.users] = of_users
        vectors = torch.from_numpy(user), torch.from_numpy(np.ascontiguousarray(items))
        if places is None:
            return Knowledge(*vectors)
        scaled = (places - places.mean(0)) / places.std()
        return Knowledge(*vectors, places=torch.from_numpy(np.ascontiguousarray(scaled)))

    def without_language_model(self, name: str, width: int) -> Knowledge:
        """The obligatory control: vectors from the ratings (svd) or from title and genre words (tfidf), no writer.

        A user's vector is the mean of what was rated before the cut, as a text would tell it.
        """
        items = self._svd(width) if name == "svd" else tfidf_vectors([i.text for i in self.ratings.items], width)
        users = mean_vectors(self.split.histories, items)
        vectors = Projection.fit(users[self.split.train_users])(users)[self.users]
        return self._beside(vectors, Projection.fit(items)(items), items)
