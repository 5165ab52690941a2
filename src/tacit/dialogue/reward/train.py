"""Reward stage: play and read logs, make weak labels, train R_phi, examine it.

With no session asked for (every count in ``reward.logs`` 0) the reward is learnt from the given dialogues alone, and
examined on those of validation.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from tacit.dialogue.players import Hands
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.reward.clicks import clicks_of, unseen_appeal
from tacit.dialogue.reward.collect import LogConfig, collect, redrawn
from tacit.dialogue.reward.exam import summary, validate_reward
from tacit.dialogue.reward.exam_people import examine_people
from tacit.dialogue.reward.features import Features
from tacit.dialogue.reward.labels import Labeller, Observation, observe
from tacit.dialogue.reward.model import RewardModel, RewardModelConfig, length_directions
from tacit.dialogue.reward.reacting import PeopleConfig, learn_people, some
from tacit.dialogue.reward.signals import SignalConfig
from tacit.dialogue.reward.verdict import LOGGED, SESSIONS, ExamConfig
from tacit.dialogue.users.crowd import UserWorld
from tacit.run.config import check_types
from tacit.run.distributed import (
    as_writer_has,
    dealt,
    from_writer,
    spread_tensors,
    sum_gradients,
    summed,
    writer_first,
)
from tacit.run.files import atomic_folder
from tacit.run.folder import Stage
from tacit.run.limits import at_least, learning_rate
from tacit.run.progress import progress
from tacit.run.resume import Resumable
from tacit.run.steps import clipped_step
from tacit.run.stopped import not_finite_number, stop, stopped_folder
from tacit.text.sentiment import load_sentiment
from tacit.types import Dialogue, Floats64, InputError, Split

CHUNK = 256


@dataclass
class RewardConfig:
    model: RewardModelConfig = field(default_factory=RewardModelConfig)
    logs: LogConfig = field(default_factory=LogConfig)
    exam: ExamConfig = field(default_factory=ExamConfig)
    people: PeopleConfig = field(default_factory=PeopleConfig)  # what foretells how real people react
    # real training dialogues that join the logs, for the channels observed in them
    dialogues: int = at_least(0, default=600)
    epochs: int = at_least(1, default=10)
    batch: int = at_least(2, default=128)  # turns a step
    lr: float = learning_rate(default=2e-3)
    weight_decay: float = at_least(0.0, default=0.05)
    force: bool = False  # let PPO use a reward model that failed its examination


def run_reward(
    policy: Policy,
    world: UserWorld | None,
    split: Split,
    config: RewardConfig,
    signals: SignalConfig,
    stage: Stage,
    seed: int,
    hands: Hands | None = None,
) -> RewardModel:
    """Writes ``reward/model``, ``reward/people`` and ``reward/validation.json``; returns the trained model, passed or
    not.

    ``world`` may be None where ``config.logs`` asks for no session; ``hands`` play them: by default this process.
    """
    if stage.done():
        return RewardModel.from_pretrained(stage.folder / "model", policy.encoder)
    check_types(config, "reward.")
    logs = collect(policy, world, config.logs, stage.folder / "logs", seed, hands)
    sessions = [o for log in logs.values() for dialogue in log for o in observe(dialogue)]
    train = [o for o in sessions if not held(o.context)]
    sft = [i for i, o in enumerate(train) if o.context.id.startswith("sft-")]
    train += [o for dialogue in _some(split.train, config.dialogues) for o in observe(dialogue)]
    if sessions:
        source, held_out = SESSIONS, [o for o in sessions if held(o.context)]
    else:
        source, held_out = LOGGED, [o for dialogue in split.valid for o in observe(dialogue)]
    if not train:
        raise InputError("the reward has no turn to learn from: set reward.logs.sessions or reward.dialogues above 0.")

    policy.encoder.clear_cache()
    sentiment = load_sentiment(signals.sentiment, signals.sentiment_labels)
    labeller = Labeller(policy.catalog, policy.encoder, sentiment, signals)
    channels = from_writer(lambda: labeller.fit(train).channels(train))
    _require_signals(channels, len(train))
    with writer_first():
        model = fresh_model(policy, config.model, labeller, seed, stage.folder / "texts")
    as_writer_has(model.state_dict().values())
    features = learn_clicks(model, read(model, train), train)
    calibrate_inputs(model, features, train)
    as_writer_has(model.state_dict().values())
    fit(model, features, channels, [o.context.id for o in train], config, stage, seed)
    centre(model, features.rows(torch.tensor(sft, dtype=torch.long)) if sft else features)

    def examine() -> Mapping[str, object]:
        with atomic_folder(stage.folder / "model") as part:
            model.save_pretrained(part, labeller.to_json())
        report = validate_reward(model, labeller, policy, held_out, split.valid, config.exam, seed, source)
        report.people, unit = _people(model, split, config.people, stage, seed)
        report.units |= {"people": unit} if report.people else {}
        seen = np.isfinite(channels).mean(0)
        report.labels["observed"] = dict(zip(("engagement", "relevance", "sentiment"), seen.tolist(), strict=True))
        report.save(stage.folder / "validation.json")
        return summary(report)

    counts = {"turns": len(train), "held_out_turns": len(held_out), "redrawn_lines": redrawn(stage.folder / "logs")}
    stage.finish({**from_writer(examine), **counts})
    return model.eval()


def _people(
    model: RewardModel, split: Split, config: PeopleConfig, stage: Stage, seed: int
) -> tuple[dict[str, dict[str, float | None]], str]:
    """Learn how real people react, and examine it on those kept from training; nothing where they said too little."""
    model.reader.encoder.clear_cache()
    cache = stage.folder / "texts"
    people = learn_people(model, some(split.train, config.dialogues), config, seed, cache)
    if people is None:
        return {}, ""
    with atomic_folder(stage.folder / "people") as part:
        people.save_pretrained(part)
    return examine_people(people, model, split.valid, seed, cache)


def _require_signals(channels: Floats64, turns: int) -> None:
    if not np.isfinite(channels).any():
        raise InputError(
            f"none of the {turns} agent turns that a reward would be learnt from shows what it provoked: log slates or "
            "what users did (one such turn is enough), or let sessions be simulated (reward.logs.sessions)."
        )


def held(context: Dialogue) -> bool:
    """A fixed tenth of the sessions, by hash of the id."""
    return int(hashlib.sha256(context.id.encode()).hexdigest()[:8], 16) % 10 == 0


def _some(dialogues: Sequence[Dialogue], n: int) -> list[Dialogue]:
    """``n`` dialogues, the same ones every time."""
    return sorted(dialogues, key=lambda d: hashlib.sha256(f"reward {d.id}".encode()).digest())[:n]


def fresh_model(
    policy: Policy, config: RewardModelConfig, labeller: Labeller, seed: int, cache: Path | None = None
) -> RewardModel:
    """Untrained, with the catalogue as the policy sees it and every member initialised from its own draw.

    ``cache`` is a folder for the item embeddings, where the policy's encoder has to read the catalogue.
    """
    with torch.no_grad():
        vectors = policy.item_vectors()
    texts = policy.item_texts(cache, "reward: reading the catalogue")
    model = RewardModel(policy.catalog, policy.encoder, vectors, texts, config).to(vectors.device)
    model.weights.copy_(torch.tensor(labeller.weights))
    model.channel_mean.copy_(torch.tensor(labeller.scale.mean))
    model.channel_std.copy_(torch.tensor(labeller.scale.std))
    for k, member in enumerate(model.members):
        generator = torch.Generator().manual_seed(seed * 1000 + 31 + k)
        for layer in member.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=layer.in_features**-0.5, generator=generator)
                nn.init.zeros_(layer.bias)
    return model


def read(model: RewardModel, observations: Sequence[Observation]) -> Features:
    """The features of every observation."""
    chunks = [observations[start : start + CHUNK] for start in range(0, len(observations), CHUNK)]

    def features(chunk: Sequence[Observation]) -> Features:
        return model.features([o.context for o in chunk], [o.turn for o in chunk])

    parts = []
    with progress(len(observations), "reward: reading turns") as bar:
        for part in spread_tensors(features, chunks, model.weights.device):
            parts.append(part)
            bar.advance(len(part))
    return Features.concatenate(parts)


def learn_clicks(model: RewardModel, features: Features, observations: Sequence[Observation]) -> Features:
    """The model learns which items are clicked; returns the features with the appeal of each slate to a click model
    that knows nothing of its dialogue, as it will be with new ones."""
    clicked, ids = clicks_of(observations), [o.context.id for o in observations]
    model.clicks.fit(features.cards.double().cpu().numpy(), clicked)
    return features.appealing(unseen_appeal(features.cards, clicked, ids))


def calibrate_inputs(model: RewardModel, features: Features, observations: Sequence[Observation]) -> None:
    """Scales of the scalars, and the directions of the reply embedding that tell its length."""
    model.scalar_mean.copy_(features.scalars.mean(0))
    model.scalar_std.copy_(features.scalars.std(0, unbiased=False).clamp_min(1e-3))
    words = torch.tensor([float(len(o.turn.text.split())) for o in observations]).log1p()
    basis = length_directions(features.reply.cpu(), words, model.config.length_directions)
    model.length_basis.copy_(basis.to(model.length_basis.device))


def masked_regression(predicted: Tensor, target: Tensor, weight: Tensor, total: Tensor | None = None) -> Tensor:
    """Σ over channels of the weighted mean squared error where the target was observed.

    [members, B, C], [B, C] with NaN, [members, B] → scalar. Each member has its own weights (its bootstrap). ``total``
    [members, C]: the ``observed_weight`` of a whole batch, of which these rows are a part.
    """
    seen = torch.isfinite(target)
    error = (predicted - torch.nan_to_num(target)) ** 2 * seen * weight[..., None]
    return (error.sum(1) / (observed_weight(target, weight) if total is None else total)).sum()


def observed_weight(target: Tensor, weight: Tensor) -> Tensor:
    """The weight of the rows where each channel was observed: [B, C] with NaN, [members, B] → [members, C], ≥ 1."""
    return (torch.isfinite(target) * weight[..., None]).sum(1).clamp_min(1.0)


def fit(
    model: RewardModel,
    features: Features,
    channels: Floats64,
    ids: Sequence[str],
    config: RewardConfig,
    stage: Stage,
    seed: int,
) -> None:
    """Every member on its own bootstrap of the dialogues (Poisson weights), a checkpoint an epoch."""
    device = model.weights.device
    z = torch.tensor(channels, dtype=torch.float32, device=device)
    target = (z - model.channel_mean) / model.channel_std
    names = {name: row for row, name in enumerate(dict.fromkeys(ids))}
    draws = np.random.default_rng([seed, 41]).poisson(1.0, size=(len(model.members), len(names)))
    rows = np.array([names[name] for name in ids])
    weight = torch.tensor(draws[:, rows], dtype=torch.float32, device=device)
    ready = model.prepare(features)

    optimizer = torch.optim.AdamW(model.members.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    generator = torch.Generator().manual_seed(seed * 1000 + 41)
    weights = {f"members.{name}": value for name, value in model.members.state_dict().items()}
    resumable = Resumable(stage, weights, optimizer, [generator])
    first, _ = resumable.restore()
    with progress(config.epochs, "reward: training") as bar:
        bar.resume(first)
        for epoch in range(first, config.epochs):
            order = torch.randperm(len(target), generator=generator).to(device)
            total = 0.0
            for start in range(0, len(order), config.batch):
                batch = order[start : start + config.batch]
                optimizer.zero_grad()
                loss = {"loss": 0.0}
                divisor = observed_weight(target[batch], weight[:, batch])
                for _, piece in dealt(batch.tolist(), len(batch)):
                    own = torch.tensor(piece, device=device)
                    part = masked_regression(model(ready.rows(own)), target[own], weight[:, own], divisor)
                    part.backward()
                    loss["loss"] += part.item()
                sum_gradients(optimizer)
                loss = summed(loss)
                norm = clipped_step(optimizer, list(model.members.parameters()), 1.0)
                broken = not_finite_number({**loss, "gradient": norm})
                if broken is not None:
                    kept = {"dialogues": [ids[row] for row in batch.tolist()]}
                    tensors = {"target": target[batch], "weight": weight[:, batch]}
                    reason = f"the {broken} in epoch {epoch + 1} is not finite"
                    stop(stopped_folder(stage.folder, epoch + 1), stage.name, reason, "lower reward.lr", kept, tensors)
                total += loss["loss"] * len(batch)
            mean = total / len(order) / len(model.members) / target.shape[1]
            stage.log.append(epoch + 1, loss=mean)
            resumable.save(epoch + 1)
            bar.advance(note=f"loss {mean:.3f}")


@torch.no_grad()
def centre(model: RewardModel, sft: Features) -> None:
    """Mean 0 and spread 1 on the SFT policy's own turns, once (arXiv 1909.08593)."""
    model.bias.zero_()
    model.gain.fill_(1.0)
    reward, _, _ = model.score_features(sft)
    model.bias.copy_(reward.mean())
    model.gain.copy_(reward.std(unbiased=False).clamp_min(1e-6))
