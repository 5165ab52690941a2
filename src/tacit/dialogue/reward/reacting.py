"""Learning to foretell people's reactions: from real dialogues of training, and from wrong turns made of them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from tacit.dialogue.reward.foretell import HEADS, ForetellConfig, Foreteller, Member, Situation
from tacit.dialogue.reward.listening import Listener, accepted, refused, requested
from tacit.dialogue.reward.mismatches import Place, WrongTurns, places
from tacit.dialogue.reward.model import RewardModel
from tacit.dialogue.reward.pairing import Pairer, learn_pairs
from tacit.run.limits import at_least, learning_rate
from tacit.run.progress import progress
from tacit.run.steps import clipped_step
from tacit.types import Dialogue, Floats64, Turn

log = logging.getLogger("tacit")

CHUNK = 2048
LEAST = 50  # agent turns after a user's, below which nothing is learnt


@dataclass
class PeopleConfig:
    model: ForetellConfig = field(default_factory=ForetellConfig)
    dialogues: int = at_least(0, default=2000)  # real training dialogues; 0 learns nothing of people
    pair_epochs: int = at_least(1, default=4)  # of which reply belongs where, on the real turns
    fit_epochs: int = at_least(1, default=12)  # of whether a turn fits, on real and wrong turns
    epochs: int = at_least(1, default=3)  # of the reactions, on the real turns
    batch: int = at_least(2, default=256)  # turns a step
    lr: float = learning_rate(default=2e-3)
    fit_lr: float = learning_rate(default=1e-2)  # of whether a turn fits: it reads facts alone
    weight_decay: float = at_least(0.0, default=0.05)


@dataclass(frozen=True)
class Lessons:
    """Real turns and wrong ones: what is read of each [n], the targets [n, len(HEADS)] (NaN: not observed), the kind
    of each ("real" or one of ``mismatches.KINDS``), and the row of the real turn that it stands beside [n]."""

    situation: Situation
    targets: Floats64
    kinds: list[str]
    real: list[int]
    places: list[Place]


def learn_people(
    reward: RewardModel, dialogues: Sequence[Dialogue], config: PeopleConfig, seed: int, cache: Path | None = None
) -> Foreteller | None:
    """None where there are fewer than ``LEAST`` turns to learn from. ``cache``: a folder for the texts' vectors."""
    real = places(dialogues)
    if len(real) < LEAST:
        log.info("people: %d agent turns that answer a user's are too few to foretell reactions from", len(real))
        return None
    model = Foreteller(reward, config.model, seed).to(reward.weights.device)
    made = lessons(model, real, seed, reader(reward, dialogues, cache))
    pairs = _learn_pairs(model, made, config, seed)
    inputs = torch.cat([made.situation.facts, pairs[:, None]], dim=1)
    model.input_mean.copy_(inputs.mean(0))
    model.input_std.copy_(inputs.std(0, unbiased=False).clamp_min(1e-3))
    _learn_fits(model, made, pairs, config, seed)
    rows = torch.tensor([k for k, kind in enumerate(made.kinds) if kind == "real"], device=pairs.device)
    _learn_reactions(model, made, pairs, rows, config, seed)
    heads = model.heads(made.situation.rows(rows), pairs[rows])
    model.head_mean.copy_(heads.mean(0))
    model.head_std.copy_(heads.std(0, unbiased=False).clamp_min(1e-6))
    return model.eval()


def some(dialogues: Sequence[Dialogue], n: int) -> list[Dialogue]:
    """``n`` dialogues, the same ones every time."""
    return sorted(dialogues, key=lambda d: hashlib.sha256(f"people {d.id}".encode()).digest())[:n]


def reader(reward: RewardModel, dialogues: Sequence[Dialogue], cache: Path | None) -> Callable[[Sequence[str]], Tensor]:
    """Unit vectors of masked texts, those of ``dialogues`` read at once."""
    listener = Listener(reward.catalog)
    texts = {listener.masked(turn.text) or " " for d in dialogues for turn in d.merged().turns} | {" "}
    order = sorted(texts)
    vectors, _ = reward.reader.encoder.read(order, cache, "people: reading turns")
    at = {text: row for row, text in enumerate(order)}
    return lambda asked: vectors[[at[text] for text in asked]]


def lessons(model: Foreteller, real: Sequence[Place], seed: int, embed: Callable[[Sequence[str]], Tensor]) -> Lessons:
    """Every real turn with what followed it, and the wrong turns made for its place."""
    listener, generator = model.listener, np.random.default_rng([seed, 61])

    def vector(text: str) -> Floats64:
        return embed([listener.masked(text) or " "])[0].double().cpu().numpy()

    wrong = WrongTurns(real, lambda text: len(listener.masked(text).split()), vector)
    contexts: list[Dialogue] = []
    turns: list[Turn] = []
    kinds, beside, whose, targets = [], [], [], []
    for place in real:
        context, row = place.context, len(turns)
        for kind, turn in (("real", place.turn), *wrong.of(place, generator)):
            contexts.append(context)
            turns.append(turn)
            kinds.append(kind)
            beside.append(row)
            whose.append(place)
            targets.append(target(place, listener) if kind == "real" else [0.0] + [np.nan] * (len(HEADS) - 1))
    parts = []
    with progress(len(turns), "people: reading situations") as bar:
        for start in range(0, len(turns), CHUNK):
            part = slice(start, start + CHUNK)
            parts.append(model.situations(contexts[part], turns[part], embed))
            bar.advance(len(parts[-1]))
    names = ("facts", "last", "reply", "previous")
    whole = Situation(*(torch.cat([getattr(part, name) for part in parts]) for name in names))
    return Lessons(whole, np.array(targets), kinds, beside, whose)


def target(place: Place, listener: Listener) -> list[float]:
    """What was done after a real turn, in the order of ``HEADS``; NaN where the user said nothing more."""
    after = place.dialogue.turns[place.t + 1 :]
    pleased = listener.pleasures(place.dialogue.turns[: place.t + 2])[-1] if after else np.nan
    if not np.isfinite(pleased):
        return [1.0] + [np.nan] * (len(HEADS) - 1)
    intents = listener.intents(after[0].text)
    shown = any(turn.slate for turn in after[1:])
    return [1.0, float(pleased), *map(float, (accepted(intents), refused(intents), requested(intents), not shown))]


def _learn_pairs(model: Foreteller, made: Lessons, config: PeopleConfig, seed: int) -> Tensor:
    """Trains the pairers on the real turns; of every row the score of the one that its dialogue was kept from [n]."""
    number = {id: k for k, id in enumerate(dict.fromkeys(place.dialogue.id for place in made.places))}
    dialogue = torch.tensor([number[place.dialogue.id] for place in made.places], device=model.input_mean.device)
    real = torch.tensor([kind == "real" for kind in made.kinds], device=dialogue.device)
    last, previous, reply = (text[real] for text in model.texts(made.situation))
    pairers, steps = cast(list[Pairer], list(model.pairers)), (config.pair_epochs, config.batch, config.lr)
    learn_pairs(pairers, (last, previous, reply), dialogue[real], *steps, config.weight_decay, seed)
    with torch.no_grad():
        scores = model.pairs(made.situation)
    return scores.gather(0, (dialogue % len(pairers))[None])[0]


def _learn_fits(model: Foreteller, made: Lessons, pairs: Tensor, config: PeopleConfig, seed: int) -> None:
    """Real turns against wrong ones, the weight of several wrong turns to each real one put right by half."""
    inputs = model.inputs(made.situation, pairs)
    real = torch.tensor([kind == "real" for kind in made.kinds], device=inputs.device).float()
    weight = 1.0 + real * (float((1.0 - real).sum() / real.sum().clamp_min(1.0)) ** 0.5 - 1.0)
    parameters = [weights for member in model.members for weights in cast(Member, member).fits.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=config.fit_lr, weight_decay=config.weight_decay)
    generator = torch.Generator().manual_seed(seed * 1000 + 71)
    steps, total = 0, config.fit_epochs * -(-len(real) // config.batch)
    with progress(config.fit_epochs, "people: learning what fits") as bar:
        for _ in range(config.fit_epochs):
            for batch in torch.randperm(len(real), generator=generator).to(inputs.device).split(config.batch):
                for group in optimizer.param_groups:
                    group["lr"] = config.fit_lr * (1.0 - steps / total)
                heads = model.fits(inputs[batch])
                target, share = real[batch].expand_as(heads), weight[batch] / weight[batch].sum()
                each = nn.functional.binary_cross_entropy_with_logits(heads, target, reduction="none")
                loss = (each * share).sum()
                optimizer.zero_grad()
                loss.backward()
                clipped_step(optimizer, parameters, 1.0)
                steps += 1
            bar.advance(note=f"loss {loss.item():.3f}")


def _learn_reactions(
    model: Foreteller, made: Lessons, pairs: Tensor, rows: Tensor, config: PeopleConfig, seed: int
) -> None:
    situation, device = made.situation.rows(rows), rows.device
    inputs = model.inputs(situation, pairs[rows])
    y = torch.tensor(made.targets, dtype=torch.float32, device=device)[rows, 1:]
    seen = torch.isfinite(y)
    y = torch.nan_to_num(y)
    parameters = list(model.members.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)
    generator = torch.Generator().manual_seed(seed * 1000 + 72)
    with progress(config.epochs, "people: learning reactions") as bar:
        for _ in range(config.epochs):
            for batch in torch.randperm(len(y), generator=generator).to(device).split(config.batch):
                heads = model.reactions(inputs[batch], situation.rows(batch))
                loss = reaction_loss(heads, y[batch], seen[batch])
                optimizer.zero_grad()
                loss.backward()
                clipped_step(optimizer, parameters, 1.0)
            bar.advance(note=f"loss {loss.item():.3f}")


def reaction_loss(heads: Tensor, target: Tensor, seen: Tensor) -> Tensor:
    """Half the squared error of ``pleased``, which is the first, and cross-entropy of each other reaction, a mean over
    what was observed of each; summed.

    [members, B, len(HEADS) − 1] and twice [B, len(HEADS) − 1] → scalar.
    """
    target, counted = target.expand_as(heads), seen.expand_as(heads).float()
    each = nn.functional.binary_cross_entropy_with_logits(heads, target.clamp(0, 1), reduction="none")
    each = torch.cat([((heads - target) ** 2 / 2)[..., :1], each[..., 1:]], dim=-1)
    return ((each * counted).sum(1) / counted.sum(1).clamp_min(1.0)).sum()
