"""What a person will do after a turn, foretold from the turn and what was said before it.

Whether the turn answers what was asked at all is told by small networks on plain facts, one of which is how well the
reply pairs with what was said (``pairing``); each part of the reaction by small networks on facts and frozen
embeddings. Nothing they read grows with the length of the reply, and nothing tells how far the conversation has come.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import cast

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tacit.dialogue.reward.features import preferred_items
from tacit.dialogue.reward.listening import Listener, mood
from tacit.dialogue.reward.model import RewardModel
from tacit.dialogue.reward.pairing import FOLDS, Pairer
from tacit.run.files import read_json, says_when_damaged
from tacit.run.limits import at_least
from tacit.run.manifest import seal
from tacit.run.manifest import verify as verify_files
from tacit.text.reactions import REACTIONS
from tacit.types import Dialogue, Floats64, InputError, ItemId, Turn

# fits: the real next turn, not a wrong one; pleased: the pleasure of the user's next words; then what those words do:
# accept, refuse, ask for another; end: nothing that the agent says follows them.
HEADS = ("fits", "pleased", "accept", "refuse", "request", "end")
FACTS = (
    "pleased_last",  # the user's pleasure, in the last turn
    "pleased_least",  # the least so far
    "mood",  # all turns, the last one weighing most
    *(f"last_{name}" for name in REACTIONS),  # log-odds of what the last turn does
    "asked",  # the user's last turn holds a question mark
    "reply_last",  # cosine of the reply and the user's last turn
    "reply_query",  # and the mean of its last four
    "reply_users",  # and the most alike of all its turns
    "reply_previous",  # and the agent's last reply
    "reply_agents",  # and the most alike of all its replies
    "said_before",  # the same words were said by the agent before
    "unkind",  # VADER's sentiment of the reply where it is below 0; kind words win nothing
    "shows",
    "item_query",  # cosine of the shown items' texts and the user's last four turns, mean
    "item_taste",  # and of the texts of the items the user named
    "shown_before",  # share of the shown items that were named or shown before
    "popularity",
    "question",
    "empty",
)
INPUTS = (*FACTS, "pairs")  # pairs: how well the reply pairs with the turn before it
QUERY = 4  # user turns
TEXT_SPREAD = 0.5  # of an embedding's coordinates, where facts have 1
TEXT_SAY = 0.3  # of texts in a reaction: a few thousand turns say little beyond the facts, and are learnt by heart
LOG_ODDS = 4.0  # beyond which a reading is as sure as can be

Embed = Callable[[Sequence[str]], Tensor]


@dataclass
class ForetellConfig:
    members: int = at_least(1, default=3)  # networks in the ensemble
    project: int = at_least(1, default=16)  # width of each input's projection
    hidden: int = at_least(1, default=32)  # width of the hidden layer
    pairing: int = at_least(1, default=32)  # width of what turns and replies are paired by


@dataclass(frozen=True)
class Situation:
    """What the networks read, a row a turn."""

    facts: Tensor  # [B, len(FACTS)]
    last: Tensor  # [B, dim], the user's last turn
    reply: Tensor  # [B, dim]
    previous: Tensor  # [B, dim], the agent's last reply; zero where there is none

    def rows(self, index: Tensor) -> Situation:
        return Situation(*(cast(Tensor, getattr(self, f.name))[index] for f in fields(self)))

    def __len__(self) -> int:
        return len(self.facts)


@dataclass(frozen=True)
class _Told:
    """A context: its own facts, rows of the users' and the agent's texts, unit vectors of what is asked, and items."""

    facts: dict[str, float]
    user: list[int]
    agent: list[int]
    query: Tensor
    taste: Tensor
    past: frozenset[ItemId]


class Member(nn.Module):
    def __init__(self, dim: int, config: ForetellConfig, generator: torch.Generator) -> None:
        super().__init__()
        width, hidden, reactions = config.project, config.hidden, len(HEADS) - 1
        self.fits = nn.Sequential(nn.Linear(len(INPUTS), hidden), nn.GELU(), nn.Linear(hidden, 1))
        self.facts = nn.Sequential(nn.Linear(len(INPUTS), hidden), nn.GELU(), nn.Linear(hidden, reactions))
        self.last, self.reply, self.previous = (nn.Linear(dim, width) for _ in range(3))
        self.read = nn.Sequential(nn.Linear(5 * width, hidden), nn.GELU(), nn.Linear(hidden, reactions))
        for layer in (part for part in self.modules() if isinstance(part, nn.Linear)):
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
            nn.init.zeros_(layer.bias)

    def reactions(self, inputs: Tensor, s: Situation) -> Tensor:
        u, r, p = self.last(s.last), self.reply(s.reply), self.previous(s.previous)
        heads: Tensor = self.facts(inputs) + TEXT_SAY * self.read(torch.cat([u, r, p, u * r, p * r], dim=-1))
        return heads


class Foreteller(nn.Module):
    """Reads with the encoder, the catalogue and the item tables of a reward model, which it neither owns nor saves."""

    input_mean: Tensor
    input_std: Tensor
    length_basis: Tensor
    head_mean: Tensor
    head_std: Tensor

    def __init__(self, reward: RewardModel, config: ForetellConfig, seed: int = 0) -> None:
        super().__init__()
        self.config, self.catalog, self._encoder = config, reward.catalog, reward.reader.encoder
        self._tables = (reward.item_texts, reward.popularity)  # a tuple: they are not this module's to move or save
        self.listener = Listener(reward.catalog)
        dim = reward.item_texts.shape[1]
        self.register_buffer("input_mean", torch.zeros(len(INPUTS)))
        self.register_buffer("input_std", torch.ones(len(INPUTS)))
        self.register_buffer("length_basis", reward.length_basis.clone())
        self.register_buffer("head_mean", torch.zeros(len(HEADS)))
        self.register_buffer("head_std", torch.ones(len(HEADS)))
        draws = [torch.Generator().manual_seed(seed * 1000 + 61 + k) for k in range(config.members + FOLDS)]
        self.members = nn.ModuleList(Member(dim, config, draw) for draw in draws[FOLDS:])
        self.pairers = nn.ModuleList(Pairer(dim, config.pairing, draw) for draw in draws[:FOLDS])

    def situations(
        self,
        contexts: Sequence[Dialogue],
        turns: Sequence[Turn],
        embed: Embed | None = None,
        pleased: Sequence[Floats64] | None = None,
    ) -> Situation:
        """What the networks read of n turns in their contexts. ``embed`` gives the unit vectors of masked texts;
        ``pleased`` is ``Listener.pleasures`` of each merged context, where somebody has read them already."""
        different = {id(context): context.merged() for context in contexts}
        if pleased is None:
            felt = {key: self.listener.pleasures(one.turns) for key, one in different.items()}
        else:
            felt = {id(context): one for context, one in zip(contexts, pleased, strict=True)}
        said = {key: [self.listener.masked(turn.text) for turn in one.turns] for key, one in different.items()}
        replies = [self.listener.masked(turn.text) for turn in turns]
        texts = list(dict.fromkeys(["", *replies, *(text for row in said.values() for text in row)]))
        vectors = (embed or self._encoder.encode)([text or " " for text in texts]).cpu()
        vectors[0] = 0.0  # the empty text
        at = {text: row for row, text in enumerate(texts)}
        told = {
            key: self._told(one, [at[text] for text in said[key]], vectors, felt[key]) for key, one in different.items()
        }
        parts = [
            self._row(told[id(context)], turn, at[reply], vectors)
            for context, turn, reply in zip(contexts, turns, replies, strict=True)
        ]
        device = self.input_mean.device
        facts = torch.tensor([part[0] for part in parts]).reshape(len(parts), len(FACTS)).to(device)
        rows = torch.tensor([part[1] for part in parts], dtype=torch.long).reshape(len(parts), 3)
        return Situation(facts, *(vectors[rows[:, k]].to(device) for k in range(3)))

    def _told(self, context: Dialogue, rows: Sequence[int], vectors: Tensor, pleased: Floats64) -> _Told:
        by = {
            who: [k for k, p in zip(rows, context.turns, strict=True) if p.speaker == who] for who in ("user", "agent")
        }
        heard = pleased[np.isfinite(pleased)]
        words = next((past.text for past in reversed(context.turns) if past.speaker == "user"), "")
        intents = self.listener.intents(words).clip(-LOG_ODDS, LOG_ODDS)
        named = [self.catalog.index(item) for item in preferred_items(context) if item in self.catalog]
        facts = {
            "pleased_last": float(heard[-1]) if len(heard) else 0.0,
            "pleased_least": float(heard.min()) if len(heard) else 0.0,
            "mood": mood(pleased),
            **{f"last_{name}": float(x) for name, x in zip(REACTIONS, intents, strict=True)},
            "asked": float("?" in words),
        }
        query = nn.functional.normalize(vectors[by["user"][-QUERY:]].sum(0), dim=0)
        taste = nn.functional.normalize(self._tables[0].cpu()[named].sum(0), dim=0)
        return _Told(facts, by["user"], by["agent"], query, taste, frozenset(context.mentioned()))

    def _row(self, told: _Told, turn: Turn, row: int, vectors: Tensor) -> tuple[list[float], tuple[int, int, int]]:
        """The facts, and the rows of the user's last text, the reply and the agent's last reply."""
        last, previous, vector = (told.user or [0])[-1], (told.agent or [0])[-1], vectors[row]
        facts = dict.fromkeys(FACTS, 0.0) | told.facts
        facts |= {
            "reply_last": float(vector @ vectors[last]),
            "reply_query": float(vector @ told.query),
            "reply_users": float((vectors[told.user] @ vector).max()) if told.user else 0.0,
            "reply_previous": float(vector @ vectors[previous]),
            "reply_agents": float((vectors[told.agent] @ vector).max()) if told.agent else 0.0,
            "said_before": float(row in told.agent),
            "unkind": min(0.0, self.listener.sentiment(turn.text)),
            "question": float("?" in turn.text),
            "empty": float(row == 0),
        }
        return list((facts | self._items(told, turn)).values()), (last, row, previous)

    def _items(self, told: _Told, turn: Turn) -> dict[str, float]:
        items = [item for item in (turn.slate.items if turn.slate else turn.mentions) if item in self.catalog]
        if not items:
            return {}
        texts, popularity = (table.cpu() for table in self._tables)
        index = [self.catalog.index(item) for item in items]
        return {
            "shows": 1.0,
            "item_query": float((texts[index] @ told.query).mean()),
            "item_taste": float((texts[index] @ told.taste).mean()),
            "shown_before": sum(item in told.past for item in items) / len(items),
            "popularity": float(popularity[index].mean()),
        }

    def texts(self, s: Situation) -> tuple[Tensor, Tensor, Tensor]:
        """The last turns, the previous replies and the replies [B, dim] each; replies without their length."""
        return s.last, s.previous, s.reply - s.reply @ self.length_basis.T @ self.length_basis

    def pairs(self, s: Situation) -> Tensor:
        """[FOLDS, B], the score of each pairer."""
        return torch.stack([pairer(*self.texts(s)) for pairer in self.pairers])

    def inputs(self, s: Situation, pairs: Tensor) -> Tensor:
        """[B, len(INPUTS)] in standard deviations; ``pairs`` [B]."""
        return ((torch.cat([s.facts, pairs[:, None]], dim=1) - self.input_mean) / self.input_std).clamp(-4, 4)

    def fits(self, inputs: Tensor) -> Tensor:
        """Log-odds of every member that the turn is the real one, [members, B]."""
        return torch.stack([cast(Member, member).fits(inputs)[:, 0] for member in self.members])

    def reactions(self, inputs: Tensor, s: Situation) -> Tensor:
        """The other heads of every member, [members, B, len(HEADS) − 1]: log-odds, and of ``pleased`` deviations."""
        last, previous, reply = self.texts(s)
        wide = TEXT_SPREAD * reply.shape[1] ** 0.5
        ready = Situation(s.facts, last * wide, reply * wide, previous * wide)
        return torch.stack([cast(Member, member).reactions(inputs, ready) for member in self.members])

    @torch.no_grad()
    def heads(self, s: Situation, pairs: Tensor | None = None) -> Tensor:
        """[B, len(HEADS)], the mean of the members. ``pairs`` [B], where not the mean of all pairers is to be read."""
        inputs = self.inputs(s, self.pairs(s).mean(0) if pairs is None else pairs)
        return torch.cat([self.fits(inputs)[..., None], self.reactions(inputs, s)], dim=-1).mean(0)

    def save_pretrained(self, folder: str | Path) -> None:
        """``model.safetensors`` and ``config.json``."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        save_file({k: v.contiguous().cpu() for k, v in self.state_dict().items()}, str(target / "model.safetensors"))
        record = {"model": asdict(self.config), "inputs": list(INPUTS), "heads": list(HEADS)}
        (target / "config.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        seal(target)

    @classmethod
    def from_pretrained(cls, folder: str | Path, reward: RewardModel, verify: bool = True) -> Foreteller:
        """``InputError`` where a file is not what was saved, or was made with other inputs."""
        source, remedy = Path(folder), "take it from a copy, or run tacit reward again."
        if verify:
            verify_files(source)
        with says_when_damaged(source, remedy):
            record = read_json(source / "config.json", remedy)
            if record.get("inputs") != list(INPUTS) or record["heads"] != list(HEADS):
                raise InputError(
                    f"{source} foretells from other inputs than this version: run tacit reward in a new run folder, "
                    "or delete this folder and go without satisfaction."
                )
            model = cls(reward, ForetellConfig(**record["model"]))
            model.load_state_dict(load_file(str(source / "model.safetensors")))
        return model.to(reward.weights.device).eval()


def probability(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-max(-30.0, min(30.0, log_odds))))
