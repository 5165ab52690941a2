"""What a reranker sees of each candidate: its id, its attributes, the texts, and for some what the user did before.

Users and items are rows of ``Ratings.users`` and ``Ratings.items``. B lists of C candidates, A attributes an item,
d the width of a text vector.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from tacit.rerank.lists.lists import Lists
from tacit.rerank.lists.past import Past
from tacit.rerank.ranker.adaptor import HybridExpertAdaptor
from tacit.types import InputError, Item

WIDTH = 32  # of every embedding, and of each side of the adaptor


@dataclass(frozen=True)
class ListBatch:
    """``recent`` and ``seen`` are there for rerankers that read the user's past."""

    users: Tensor  # [B] long
    items: Tensor  # [B, C] long
    labels: Tensor  # [B, C] float
    recent: Tensor | None = None  # [B, RECENT] long, the last items before the list, −1 where there are fewer
    seen: Tensor | None = None  # [B, C] float, 1 = in the history before the list

    @classmethod
    def of(cls, lists: Lists, device: torch.device | str = "cpu", past: Past | None = None) -> ListBatch:
        def tensor(values: npt.NDArray[np.generic], dtype: torch.dtype) -> Tensor:
            return torch.from_numpy(values).to(device, dtype)

        return cls(
            tensor(lists.users, torch.long),
            tensor(lists.items, torch.long),
            tensor(lists.labels, torch.float32),
            None if past is None else tensor(past.recent(lists), torch.long),
            None if past is None else tensor(past.seen(lists), torch.float32),
        )


@dataclass(frozen=True)
class Knowledge:
    """Text vectors of every user and every item: [n_users, d] and [n_items, d].

    ``places`` [n_items, d] are where ratings put the items along the axes on which the users' vectors are given; None
    where these are no such axes. ``samples`` [n_users, N, d] are other texts of the same users. A ranker in training
    then reads one of them, drawn anew for each list, so that it knows the texts of many kinds that it is to judge, and
    no user by heart.
    """

    user: Tensor
    item: Tensor
    samples: Tensor | None = None
    places: Tensor | None = None

    def to(self, device: torch.device | str) -> Knowledge:
        samples, places = (None if t is None else t.to(device) for t in (self.samples, self.places))
        return Knowledge(self.user.to(device), self.item.to(device), samples, places)


def item_attributes(items: Sequence[Item], keys: Sequence[str]) -> tuple[Tensor, int]:
    """([n_items, A] long, number of values): the first value under each key, numbered from 1; 0 where there is none.

    Values of different keys are different values, and share one table.
    """
    numbers: dict[tuple[str, str], int] = {}
    table = torch.zeros(len(items), len(keys), dtype=torch.long)
    for row, item in enumerate(items):
        for column, key in enumerate(keys):
            for value in item.attributes.get(key, ())[:1]:
                table[row, column] = numbers.setdefault((key, value), len(numbers) + 1)
    return table, len(numbers)


class ListTokens(nn.Module):
    """A candidate as KAR's code gives it: id | attributes | user text | item text, 32 numbers each.

    The user's half is one and the same for all candidates of a list, and without texts the user is not seen at all.
    ``ratings`` is never read: the reference embeds the history's ratings and drops them, and its parameter counts
    (which ours must equal) include that table. Source: arXiv 2306.10933, RS/models.py, class BaseModel.
    """

    attributes: Tensor

    def __init__(
        self, n_items: int, attributes: Tensor, n_attributes: int, text_dim: int | None, specific: int
    ) -> None:
        super().__init__()
        self.register_buffer("attributes", attributes, persistent=False)
        self.item = nn.Embedding(n_items + 1, WIDTH)  # the reference counts ids from 1; the last row is not used here
        self.attribute = nn.Embedding(n_attributes + 1, WIDTH)
        self.ratings = nn.Embedding(6, WIDTH)  # 5 stars and "none"
        self.adaptor = None if text_dim is None else HybridExpertAdaptor(text_dim, out=WIDTH, specific=specific)
        self.width = WIDTH * (1 + attributes.shape[1] + (0 if text_dim is None else 2))

    def forward(self, batch: ListBatch, knowledge: Knowledge | None, user_vectors: Tensor | None) -> Tensor:
        """→ [B, C, width]."""
        fields = self.fields(batch.items)
        texts = self.texts(batch, knowledge, user_vectors)
        if texts is None:
            return fields
        user, item = texts
        return torch.cat([fields, user[:, None].expand_as(item), item], dim=-1)

    def fields(self, items: Tensor) -> Tensor:
        """Item rows of any shape [...] → [..., 32 (1 + A)]."""
        attributes = self.attribute(self.attributes[items]).flatten(-2)
        return torch.cat([self.item(items), attributes], dim=-1)

    def texts(
        self, batch: ListBatch, knowledge: Knowledge | None, user_vectors: Tensor | None
    ) -> tuple[Tensor, Tensor] | None:
        """Adapted texts of the user [B, 32] and of the candidates [B, C, 32]; None for a reranker without texts.

        Every user and item of the batch is adapted once. ``user_vectors`` [B, d] take the place of the users' own.
        """
        if (self.adaptor is None) != (knowledge is None):
            raise ValueError("a reranker built with text_dim needs knowledge, and one built without takes none")
        if self.adaptor is None or knowledge is None:
            return None
        items, item_of = batch.items.unique(return_inverse=True)
        if user_vectors is not None:
            user, item = self.adaptor(user_vectors, knowledge.item[items])
            return user, item[item_of]
        users, user_of = batch.users.unique(return_inverse=True)
        user, item = self.adaptor(knowledge.user[users], knowledge.item[items])
        return user[user_of], item[item_of]


class MatchTokens(ListTokens):
    """KAR's candidate and, beside it, user text ⊙ the item's place among the ratings, d numbers more.

    KAR's networks get a user's text and an item's side by side and have to find out for themselves that what agrees is
    liked; with the product a sum is enough. It needs vectors of texts that are read along the ratings' axes.
    """

    def __init__(
        self, n_items: int, attributes: Tensor, n_attributes: int, text_dim: int | None, specific: int
    ) -> None:
        super().__init__(n_items, attributes, n_attributes, text_dim, specific)
        self.width += text_dim or 0

    def forward(self, batch: ListBatch, knowledge: Knowledge | None, user_vectors: Tensor | None) -> Tensor:
        """→ [B, C, width]."""
        tokens = super().forward(batch, knowledge, user_vectors)
        if knowledge is None:
            return tokens
        if knowledge.places is None:
            raise InputError("dlcm_match compares users and items along the ratings' axes: it needs some components.")
        user = knowledge.user[batch.users] if user_vectors is None else user_vectors
        return torch.cat([tokens, user[:, None] * knowledge.places[batch.items]], dim=-1)


class PersonalTokens(ListTokens):
    """A candidate beside its user: item | user | item ⊙ user | seen.

    item = id | attributes | item text; user = the mean of the recent items' ids and attributes | user text, in the
    same places, so that the product lets a text act for one candidate and against another.
    """

    def __init__(
        self, n_items: int, attributes: Tensor, n_attributes: int, text_dim: int | None, specific: int
    ) -> None:
        super().__init__(n_items, attributes, n_attributes, text_dim, specific)
        del self.ratings
        width = self.width - (0 if text_dim is None else WIDTH)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(3))  # Xavier's embeddings of many items are tiny
        self.width = 3 * width + 1

    def forward(self, batch: ListBatch, knowledge: Knowledge | None, user_vectors: Tensor | None) -> Tensor:
        """→ [B, C, width]."""
        if batch.recent is None or batch.seen is None:
            raise ValueError("this reranker reads the user's past: hand in the histories")
        item, user = self.fields(batch.items), self._mean(batch.recent)
        texts = self.texts(batch, knowledge, user_vectors)
        if texts is not None:
            user, item = torch.cat([user, texts[0]], dim=-1), torch.cat([item, texts[1]], dim=-1)
        user = user[:, None].expand_as(item)
        parts = [norm(part) for norm, part in zip(self.norms, (item, user, item * user), strict=True)]
        return torch.cat([*parts, batch.seen[..., None]], dim=-1)

    def _mean(self, recent: Tensor) -> Tensor:
        present = (recent >= 0).unsqueeze(-1).float()
        total = (self.fields(recent.clamp(min=0)) * present).sum(1)
        return total / present.sum(1).clamp(min=1)
