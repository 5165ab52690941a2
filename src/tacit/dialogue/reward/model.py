"""The reward model R_phi(s_t, a_t): what a turn is worth, from its context, its reply and its slate.

An ensemble of small networks on frozen embeddings, one head a channel. It never sees how long the reply is: no
length feature, titles masked to one word, and the directions of the reply embedding that linearly tell its length
projected out (iterative null-space projection, Ravfogel et al. 2020, arXiv 2004.07667).
reward = mean - c * std over the members of the weighted, standardised channels (Coste et al. 2023, arXiv 2310.02743),
scaled once so that the SFT policy's own turns have mean 0 and spread 1 (Ziegler et al. 2019, arXiv 1909.08593).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from tacit.catalog import Catalog
from tacit.dialogue.reward.clicks import ClickModel
from tacit.dialogue.reward.features import SCALARS, Features, ItemTables, TurnReader
from tacit.dialogue.reward.signals import CHANNELS
from tacit.run.files import read_json, says_when_damaged
from tacit.run.limits import at_least
from tacit.run.manifest import seal
from tacit.run.manifest import verify as verify_files
from tacit.text.encoder import TextEncoder
from tacit.types import Dialogue, InputError, Turn


@dataclass
class RewardModelConfig:
    window: int = at_least(1, default=8)  # utterances of the context that are read
    query_turns: int = at_least(1, default=4)  # user utterances that make the query of relevance
    members: int = at_least(1, default=3)  # networks in the ensemble
    project: int = at_least(1, default=8)  # width of each input's projection
    hidden: int = at_least(1, default=64)  # width of the hidden layer
    caution: float = at_least(0.0, default=0.5)  # c in mean - c * std
    # directions of the reply embedding removed because they tell its length
    length_directions: int = at_least(0, default=4)


# How much the networks that read embeddings add: a few thousand turns are enough to memorise texts, and not enough to
# learn from them.
TEXT_GAIN = 0.1
EMBEDDING_SPREAD = 0.05  # of a unit vector's coordinates, where the scalars have 1


class _Member(nn.Module):
    """One network of the ensemble: plain facts, plus what the embeddings add. No dropout: what it says of a turn is
    the same in training and in use."""

    def __init__(self, text: int, config: RewardModelConfig) -> None:
        super().__init__()
        width, hidden, facts, heads = config.project, config.hidden, len(SCALARS), len(CHANNELS)
        self.facts = nn.Sequential(nn.Linear(facts, hidden), nn.GELU(), nn.Linear(hidden, heads))
        self.window, self.reply = nn.Linear(text, width), nn.Linear(text, width)
        self.read = nn.Sequential(nn.Linear(3 * width + facts, hidden), nn.GELU(), nn.Linear(hidden, heads))

    def forward(self, f: Features) -> Tensor:
        w, r = self.window(f.window), self.reply(f.reply)
        channels: Tensor = self.facts(f.scalars) + TEXT_GAIN * self.read(torch.cat([w, r, w * r, f.scalars], dim=-1))
        return channels


class RewardModel(nn.Module):
    """Implements ``tacit.types.Scorer``. The encoder is handed in and shared: it is neither trained nor saved here."""

    name = "reward_model"
    item_vectors: Tensor
    item_texts: Tensor
    popularity: Tensor
    scalar_mean: Tensor
    scalar_std: Tensor
    length_basis: Tensor
    channel_mean: Tensor
    channel_std: Tensor
    weights: Tensor
    gain: Tensor
    bias: Tensor

    def __init__(
        self,
        catalog: Catalog,
        encoder: TextEncoder,
        item_vectors: Tensor,
        item_texts: Tensor,
        config: RewardModelConfig,
    ) -> None:
        """``item_vectors`` [n_items, d] are copied from the policy and frozen; ``item_texts`` [n_items, dim] are the
        encoder's vectors of the items' texts."""
        super().__init__()
        self.catalog, self.config = catalog, config
        counts = torch.from_numpy(catalog.counts.copy()).float().log1p()
        unit = nn.functional.normalize(item_vectors.detach().float(), dim=-1)
        buffers = {
            "item_vectors": unit,
            "item_texts": nn.functional.normalize(item_texts.detach().float(), dim=-1),
            "popularity": (counts - counts.mean()) / counts.std(unbiased=False).clamp_min(1e-6),
            "scalar_mean": torch.zeros(len(SCALARS)),
            "scalar_std": torch.ones(len(SCALARS)),
            "length_basis": torch.zeros(config.length_directions, item_texts.shape[1]),
            "channel_mean": torch.zeros(len(CHANNELS)),
            "channel_std": torch.ones(len(CHANNELS)),
            "weights": torch.ones(len(CHANNELS)) / len(CHANNELS),
            "gain": torch.ones(()),
            "bias": torch.zeros(()),
        }
        for name, value in buffers.items():
            self.register_buffer(name, value.clone())
        self.members = nn.ModuleList(_Member(item_texts.shape[1], config) for _ in range(config.members))
        self.clicks = ClickModel()
        self.reader = TurnReader(catalog, encoder, config.window, config.query_turns)

    def features(self, contexts: Sequence[Dialogue], turns: Sequence[Turn]) -> Features:
        """What the networks read, for n turns in their contexts. Scalars are not yet standardised."""
        tables = ItemTables(self.item_vectors, self.item_texts, self.popularity)
        found = self.reader.features(contexts, turns, tables)
        return found.appealing(self.clicks.appeal(found.cards))

    def prepare(self, f: Features) -> Features:
        """Standardised scalars; length projected out of the reply; embeddings brought to their spread."""
        reply = f.reply - f.reply @ self.length_basis.T @ self.length_basis
        scalars = ((f.scalars - self.scalar_mean) / self.scalar_std).clamp(-5, 5)
        wide = EMBEDDING_SPREAD * f.window.shape[1] ** 0.5
        return replace(f, window=f.window * wide, reply=reply * wide, scalars=scalars)

    def forward(self, f: Features) -> Tensor:
        """Standardised channels by every member, [members, B, 3], from ``prepare``d features."""
        return torch.stack([member(f) for member in self.members])

    def reward(self, channels: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
        """(reward [B], std [B]) from standardised channels [members, B, 3].

        Without a slate there is no relevance: the weights are renormalised over the rest, as in the weak label.
        """
        observed = torch.ones(channels.shape[1:], device=channels.device)
        observed[:, CHANNELS.index("relevance")] = shown.float()
        total = (observed * self.weights.abs()).sum(-1).clamp_min(1e-6)
        by_member = (channels * observed * self.weights).sum(-1) / total
        std = by_member.std(0, unbiased=False)
        return (by_member.mean(0) - self.config.caution * std - self.bias) / self.gain, std / self.gain

    @torch.no_grad()
    def score_features(self, f: Features) -> tuple[Tensor, Tensor, Tensor]:
        """(reward [B], channels in their own units [B, 3], std [B])."""
        channels = self(self.prepare(f))
        reward, std = self.reward(channels, f.shown)
        return reward, channels.mean(0) * self.channel_std + self.channel_mean, std

    def score(self, contexts: Sequence[Dialogue], turns: Sequence[Turn]) -> list[tuple[float, dict[str, float]]]:
        """(reward, channels) a turn. ``relevance`` is left out where no slate was shown: not observed is not zero."""
        if not contexts:
            return []
        f = self.features(contexts, turns)
        reward, channels, std = self.score_features(f)
        scored = []
        for i, shown in enumerate(f.shown.tolist()):
            parts = dict(zip(CHANNELS, channels[i].tolist(), strict=True)) | {"std": float(std[i])}
            scored.append((float(reward[i]), parts if shown else {k: v for k, v in parts.items() if k != "relevance"}))
        return scored

    def save_pretrained(self, folder: str | Path, extra: dict[str, object] | None = None) -> None:
        """``model.safetensors``, ``items.jsonl`` and ``config.json`` (with ``extra``, e.g. how labels were made)."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        save_file({k: v.contiguous().cpu() for k, v in self.state_dict().items()}, str(target / "model.safetensors"))
        self.catalog.save(target / "items.jsonl")
        shape = {"text": self.item_texts.shape[1], "item": self.item_vectors.shape[1]}
        record = {"model": asdict(self.config), "shape": shape, "channels": list(CHANNELS), "scalars": list(SCALARS)}
        (target / "config.json").write_text(json.dumps(record | {"labels": extra or {}}, indent=1, sort_keys=True))
        seal(target)

    @classmethod
    def from_pretrained(cls, folder: str | Path, encoder: TextEncoder, verify: bool = True) -> RewardModel:
        """``InputError`` where a file is not what was saved; ``verify=False`` loads it all the same."""
        source = Path(folder)
        if not (source / "config.json").is_file():
            raise InputError(f"{source} holds no reward model (no config.json): run tacit reward first.")
        if verify:
            verify_files(source)
        with says_when_damaged(source, "take it from a copy, or run tacit reward again."):
            return cls._read(source, encoder)

    @classmethod
    def _read(cls, source: Path, encoder: TextEncoder) -> RewardModel:
        record = read_json(source / "config.json", "take it from a copy, or run tacit reward again.")
        shape = record["shape"]
        if record["scalars"] != list(SCALARS) or shape["text"] != encoder.dim:
            raise InputError(f"{source} was made with other inputs or another encoder: run tacit reward again.")
        catalog = Catalog.load(source / "items.jsonl")
        model = cls(
            catalog,
            encoder,
            torch.zeros(len(catalog), shape["item"]),
            torch.zeros(len(catalog), shape["text"]),
            RewardModelConfig(**record["model"]),
        )
        model.load_state_dict(load_file(str(source / "model.safetensors")))
        return model.eval()


def length_directions(reply: Tensor, log_words: Tensor, rounds: int) -> Tensor:
    """Orthonormal directions [rounds, dim] of ``reply`` [n, dim] that linearly predict ``log_words`` [n].

    Each round regresses what is left on the length and removes the fitted direction (arXiv 2004.07667, for a
    regression in place of a classifier).
    """
    x = (reply - reply.mean(0)).double()
    y = (log_words - log_words.mean()).double()
    basis = torch.zeros(rounds, reply.shape[1], dtype=torch.float64)
    for k in range(rounds):
        gram = x.T @ x + 1e-3 * len(x) / reply.shape[1] * torch.eye(reply.shape[1], dtype=torch.float64)
        direction = torch.linalg.solve(gram, x.T @ y)
        direction = direction - basis.T @ (basis @ direction)
        if direction.norm() < 1e-8:
            break
        basis[k] = direction / direction.norm()
        x = x - torch.outer(x @ basis[k], basis[k])
    return basis.float()
