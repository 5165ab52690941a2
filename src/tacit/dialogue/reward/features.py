"""What the reward model reads of a turn: embeddings of context and reply, item vectors, and a few plain facts.

Nothing here grows with the number of words in the reply.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import cast

import torch
from torch import Tensor, nn

from tacit.catalog import Catalog
from tacit.dialogue.policy.layout import window_text
from tacit.dialogue.reward.signals import query_texts
from tacit.text.encoder import TextEncoder
from tacit.text.sentiment import MASK, mask_spans
from tacit.types import Dialogue, ItemId, Turn
from tacit.typography import quoted

# One column each of ``Features.scalars``. Of the items shown the networks read no more than these three: a few thousand
# turns teach them what to make of a slate as a whole, and not which items please (clicks.py).
SCALARS = (
    "appeal",  # how likely its items are to be clicked, mean over the slate
    "relevance",  # cosine of the user's words and the items' texts, mean over the slate
    "overlap",  # share of the slate that was mentioned before
    "reply_query",  # cosine of the reply and the user's words
    "echo",  # cosine of the reply and the user's last utterance
    "repeat",  # cosine of the reply and the agent's last reply
    "has_slate",
    "slate_size",
    "empty",  # the reply has no words
    "question",
    "streak",  # log(1 + agent turns in a row without a slate, before this one)
    "unlisted",  # the text names a catalogue title that the slate does not hold
    "unknown",  # the text names, with a year or in quotes, a title that the catalogue does not hold
    "turns",  # log(1 + agent turns before this one)
    "has_taste",  # the user has named or clicked an item
)
# One column each of ``Features.cards``: what is known of one item of a slate.
CARD_FACTS = (
    "popularity",  # standardised log training count
    "popularity_squared",
    "taste",  # cosine of its vector and the mean of the items the user named or clicked; 0 where there are none
    "taste_nearest",  # the same for the nearest of these items
    "passed_over",  # cosine of its vector and the mean of the items that were shown and that the user let pass
    "relevance",  # cosine of its text and the user's words
    "named",  # the user has named or clicked it
    "passed",  # it was shown, and the user let it pass
    "has_taste",  # the user has named or clicked an item
    "turns",  # log(1 + agent turns before this one)
)
CARDS = 10  # of a slate that are read one by one
_YEAR = re.compile(r"[(（](?:19|20)\d\d[)）]")
_TITLE_LENGTHS = range(2, 62)  # characters in quotes that may be a title
_MASK_LIST = re.compile(rf"\b{MASK}\b(?:(?:\s*,\s*|\s+)(?:(?:and|or)\s+)?{MASK}\b)+")


@dataclass(frozen=True)
class Features:
    """One row a turn. ``shown`` is True where the turn has a slate."""

    window: Tensor  # [B, dim]
    reply: Tensor  # [B, dim], titles masked; zero when empty
    scalars: Tensor  # [B, len(SCALARS)]
    shown: Tensor  # [B] bool
    cards: Tensor  # [B, CARDS, len(CARD_FACTS)]; NaN where the slate has no such item

    def rows(self, index: Tensor) -> Features:
        return Features(*(cast(Tensor, getattr(self, f.name))[index] for f in fields(self)))

    def appealing(self, appeal: Tensor) -> Features:
        """These features with the slates' ``appeal`` [B] in its column."""
        scalars = self.scalars.clone()
        scalars[:, SCALARS.index("appeal")] = appeal
        return replace(self, scalars=scalars)

    @staticmethod
    def concatenate(parts: Sequence[Features]) -> Features:
        return Features(*(torch.cat([getattr(part, f.name) for part in parts]) for f in fields(Features)))

    def __len__(self) -> int:
        return len(self.shown)


@dataclass(frozen=True)
class ItemTables:
    """The catalogue as frozen tensors: unit policy vectors [n, d], unit text vectors [n, dim], popularity [n]."""

    vectors: Tensor
    texts: Tensor
    popularity: Tensor


class TurnReader:
    """(contexts, turns) → ``Features``. Titles are linked once a text."""

    def __init__(self, catalog: Catalog, encoder: TextEncoder, window: int, query_turns: int) -> None:
        self.catalog, self.encoder, self.window, self.query_turns = catalog, encoder, window, query_turns
        self._masked: dict[str, tuple[str, frozenset[ItemId]]] = {}

    def masked_reply(self, text: str) -> tuple[str, frozenset[ItemId]]:
        """(text with every title, or list of titles, as one word; the items it names)."""
        if text not in self._masked:
            spans = self.catalog.link(text)
            masked = mask_list(mask_spans(text, spans))
            if len(self._masked) > 50_000:
                self._masked.clear()
            self._masked[text] = (masked, frozenset(item for _, _, item in spans))
        return self._masked[text]

    @torch.no_grad()
    def features(self, contexts: Sequence[Dialogue], turns: Sequence[Turn], items: ItemTables) -> Features:
        """Everything the networks read, for n turns in their contexts. Scalars are not yet standardised."""
        contexts = [context.merged() for context in contexts]
        masked = [self.masked_reply(turn.text) for turn in turns]
        last_user = [_last(context, "user") for context in contexts]
        last_agent = [self.masked_reply(_last(context, "agent"))[0] for context in contexts]
        window = self._encode([window_text(context.window(self.window)) for context in contexts])
        reply = self._encode([text for text, _ in masked])
        query = query_vectors(self.encoder, contexts, self.query_turns)
        texts = {
            "reply_query": (reply * query).sum(-1),
            "echo": (reply * self._encode(last_user)).sum(-1),
            "repeat": (reply * self._encode(last_agent)).sum(-1),
        }
        pairs = zip(contexts, turns, strict=True)
        rows = [self._items(context, turn, query[i], masked[i], items) for i, (context, turn) in enumerate(pairs)]
        device = items.vectors.device
        columns = [
            texts[name] if name in texts else torch.tensor([row.get(name, 0.0) for row, _ in rows], device=device)
            for name in SCALARS
        ]
        shown = torch.tensor([bool(turn.slate and turn.slate.items) for turn in turns], device=device)
        cards = torch.stack([cards for _, cards in rows])
        return Features(window, reply, torch.stack(columns, dim=-1).float(), shown, cards)

    def _encode(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors; the empty text is the zero vector."""
        vectors = self.encoder.encode([text or " " for text in texts])
        return vectors * torch.tensor([[float(bool(text.strip()))] for text in texts], device=vectors.device)

    def _items(
        self, context: Dialogue, turn: Turn, query: Tensor, masked: tuple[str, frozenset[ItemId]], tables: ItemTables
    ) -> tuple[dict[str, float], Tensor]:
        """(the scalars that are about items and form, the cards)."""
        preferred = preferred_items(context)
        agent = [past for past in context.turns if past.speaker == "agent"]
        streak = next((k for k, past in enumerate(reversed(agent)) if past.slate), len(agent))
        items = turn.slate.items if turn.slate else ()
        text, named = masked
        scalars = {
            "has_slate": float(bool(items)),
            "slate_size": float(len(items)),
            "empty": float(not turn.text.strip()),
            "question": float("?" in turn.text),
            "streak": math.log1p(streak),
            "unlisted": float(bool(named - set(items))),
            "unknown": float(_names_a_title(text)),
            "turns": math.log1p(len(agent)),
            "has_taste": float(bool(preferred)),
        }
        cards = torch.full((CARDS, len(CARD_FACTS)), torch.nan, device=tables.vectors.device)
        if not items:
            return scalars, cards
        passed = [item for item in context.mentioned() if item not in preferred]
        index = [self.catalog.index(i) for i in items]
        vectors, relevant, popular = tables.vectors[index], tables.texts[index] @ query, tables.popularity[index]
        facts = {
            "popularity": popular,
            "popularity_squared": popular.square(),
            "taste": vectors @ nn.functional.normalize(self._mean(preferred, tables), dim=0),
            "taste_nearest": self._nearest(vectors, preferred, tables),
            "passed_over": vectors @ nn.functional.normalize(self._mean(passed, tables), dim=0),
            "relevance": relevant,
            "named": popular.new_tensor([float(i in preferred) for i in items]),
            "passed": popular.new_tensor([float(i in passed) for i in items]),
            "has_taste": torch.full_like(popular, float(bool(preferred))),
            "turns": torch.full_like(popular, math.log1p(len(agent))),
        }
        read = torch.stack([facts[name] for name in CARD_FACTS], dim=1)[:CARDS]
        cards[: len(read)] = read
        mentioned = {*preferred, *passed}
        scalars |= {
            "relevance": float(relevant.mean()),
            "overlap": sum(i in mentioned for i in items) / len(items),
        }
        return scalars, cards

    def _nearest(self, vectors: Tensor, items: Sequence[ItemId], tables: ItemTables) -> Tensor:
        """Cosine of each of ``vectors`` [K, d] and the nearest of ``items``, [K]; 0 where there are none."""
        if not items:
            return vectors.new_zeros(len(vectors))
        return (vectors @ tables.vectors[[self.catalog.index(item) for item in items]].T).amax(1)

    def _mean(self, items: Sequence[ItemId], tables: ItemTables) -> Tensor:
        if not items:
            return torch.zeros(tables.vectors.shape[1], device=tables.vectors.device)
        return tables.vectors[[self.catalog.index(item) for item in items]].mean(0)


def mask_list(masked: str) -> str:
    """A list of masked titles as one word: its length is no matter."""
    return _MASK_LIST.sub(MASK, masked).strip()


def _names_a_title(text: str) -> bool:
    """Whether a year in parentheses shows one, or quotes do that a capital opens, or a letter that has no cases."""
    if _YEAR.search(text):
        return True
    return any(
        len(part) in _TITLE_LENGTHS and part[0].isalpha() and not part[0].islower() for _, _, part in quoted(text)
    )


def preferred_items(context: Dialogue) -> tuple[ItemId, ...]:
    """What the user named or clicked, without repeats. What it was shown and let pass is not its taste."""
    items: dict[ItemId, None] = {}
    for turn in context.turns:
        clicked = turn.feedback.clicked if turn.feedback else None
        items.update(dict.fromkeys(turn.mentions if turn.speaker == "user" else clicked or ()))
    return tuple(items)


def query_vectors(encoder: TextEncoder, contexts: Sequence[Dialogue], turns: int) -> Tensor:
    """Unit mean of the last user utterances' embeddings, [n, dim]; zero where the user has said nothing."""
    queries = [query_texts(context, turns) for context in contexts]
    flat = encoder.encode([text for texts in queries for text in texts])
    rows = torch.tensor([i for i, texts in enumerate(queries) for _ in texts], dtype=torch.long, device=flat.device)
    total = torch.zeros(len(queries), flat.shape[-1], device=flat.device).index_add_(0, rows, flat)
    return nn.functional.normalize(total, dim=-1)


def _last(context: Dialogue, speaker: str) -> str:
    return next((turn.text for turn in reversed(context.turns) if turn.speaker == speaker), "")
