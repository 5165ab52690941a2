"""Is the reward worth optimising? Held-out labels, human judgements, length, and scripted cheats, before PPO starts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace

import numpy as np
import torch

from tacit.dialogue.policy.act import Decision
from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.reward.cheats import CHEATS, padded
from tacit.dialogue.reward.clicks import clicks_of
from tacit.dialogue.reward.labels import Labeller, Observation
from tacit.dialogue.reward.model import RewardModel
from tacit.dialogue.reward.signals import CHANNELS
from tacit.dialogue.reward.statistics import auc_over, centred, ends, fifths, pearson
from tacit.dialogue.reward.verdict import SESSIONS, ExamConfig, ValidationReport, verdict
from tacit.metrics.intervals import bootstrap_mean
from tacit.metrics.persons import Persons
from tacit.metrics.persons import of_dialogues as persons
from tacit.metrics.ranks import auc
from tacit.run.progress import progress
from tacit.types import Dialogue, Floats64, InputError, Slate, Turn

BATCH = 128
TOLD = ("real against mismatched", "accept", "liked, satisfaction")  # rows on people that a stage prints
INTERVALS = ("auc", "auc_within_popularity", "auc_within_length")  # of the AUCs on "liked", those with an interval


def require_valid(report: ValidationReport, force: bool) -> None:
    """Refuse to optimise a reward that failed its examination, unless told to."""
    if report.passed or force:
        return
    told = " ".join([*report.reasons, *report.undecided])
    if report.reasons:
        raise InputError(
            f"the reward model failed its validation ({told}) and PPO would optimise its mistakes; change what is "
            "named there and run again, or set reward.force=true to go on regardless."
        )
    raise InputError(
        f"the reward model is not validated ({told}); change what is named there and run again, or set "
        "reward.force=true to go on regardless."
    )


def validate_reward(
    model: RewardModel,
    labeller: Labeller,
    policy: Policy,
    held_out: Sequence[Observation],
    valid: Sequence[Dialogue],
    config: ExamConfig,
    seed: int,
    source: str = SESSIONS,
) -> ValidationReport:
    """``held_out``: turns the model was not trained on (``source``: what they are); ``valid``: real dialogues kept
    from training."""
    policy.encoder.clear_cache()
    whose = persons([observation.context for observation in held_out])
    pearson = _pearson_by_channel(model, labeller, held_out, whose, np.random.default_rng([seed, 24]))
    sessions = held_out if source == SESSIONS else ()
    contexts = _contexts(sessions, valid, config.contexts, np.random.default_rng([seed, 21]))
    draws = torch.Generator().manual_seed(seed * 1000 + 21)
    sft, recommending = _turns(policy, contexts, draws), _turns(policy, contexts, draws, "recommend")
    honest, resampled = rewards(model, contexts, sft), persons(contexts)
    liked, unit = liked_auc(model, valid, np.random.default_rng([seed, 25]))
    report = ValidationReport(
        pearson=pearson,
        liked=liked,
        length=_length(model, contexts, resampled, sft, honest, np.random.default_rng([seed, 22])),
        cheats=_cheat_table(
            model,
            contexts,
            resampled,
            honest,
            rewards(model, contexts, recommending),
            np.random.default_rng([seed, 23]),
        ),
        labels={"sentiment": labeller.sentiment.id, "weights": list(labeller.weights)},
        thresholds=asdict(config),
        held_out=source,
        clicks=clicks_auc(model, held_out, whose, np.random.default_rng([seed, 26])),
        units={"pearson": whose.unit, "liked": unit, "length": resampled.unit, "cheats": resampled.unit},
    )
    return verdict(report, config)


def rewards(model: RewardModel, contexts: Sequence[Dialogue], turns: Sequence[Turn]) -> Floats64:
    """[n] rewards, in batches."""
    scores: list[float] = []
    for start in range(0, len(turns), BATCH):
        part = slice(start, start + BATCH)
        scores.extend(score for score, _ in model.score(contexts[part], turns[part]))
    return np.array(scores)


def _pearson_by_channel(
    model: RewardModel,
    labeller: Labeller,
    held_out: Sequence[Observation],
    whose: Persons,
    generator: np.random.Generator,
) -> dict[str, dict[str, float | None]]:
    if not held_out:
        return {name: pearson(np.empty(0), np.empty(0), whose.groups, generator) for name in (*CHANNELS, "label")}
    truth = labeller.channels(held_out)
    scored = []
    for start in range(0, len(held_out), BATCH):
        part = held_out[start : start + BATCH]
        scored.extend(model.score([o.context for o in part], [o.turn for o in part]))
    table: dict[str, dict[str, float | None]] = {}
    for c, name in enumerate(CHANNELS):
        predicted = np.array([channels.get(name, math.nan) for _, channels in scored])
        table[name] = pearson(predicted, truth[:, c], whose.groups, generator)
    reward = np.array([reward for reward, _ in scored])
    table["label"] = pearson(reward, labeller.labels(truth), whose.groups, generator)
    return table


def _contexts(
    held_out: Sequence[Observation], valid: Sequence[Dialogue], n: int, generator: np.random.Generator
) -> list[Dialogue]:
    """Up to ``n`` contexts that end with the user's word: half from simulated sessions, half from real dialogues."""
    simulated = [o.context for o in held_out if o.context.id.startswith("sft-")]
    real = [d.before(t) for d in (x.merged() for x in valid) for t in range(1, len(d.turns)) if _agent_after_user(d, t)]
    chosen: list[Dialogue] = []
    for pool in (simulated, real):
        take = min(len(pool), max(n // 2, n - len(real) if pool is simulated else n - len(chosen)))
        chosen += [pool[int(i)] for i in generator.choice(len(pool), size=take, replace=False)] if take else []
    if not chosen:
        raise InputError(
            "there is no held-out turn to examine the reward on: give at least one validation dialogue in which the "
            "agent answers the user, or let more sessions be simulated (reward.logs.sessions)."
        )
    return chosen


def _agent_after_user(dialogue: Dialogue, t: int) -> bool:
    return dialogue.turns[t].speaker == "agent" and dialogue.turns[t - 1].speaker == "user"


def _turns(
    policy: Policy, contexts: Sequence[Dialogue], generator: torch.Generator, decide: Decision | None = None
) -> list[Turn]:
    parts = [contexts[start : start + BATCH] for start in range(0, len(contexts), BATCH)]
    return [sample.turn() for part in parts for sample in policy.act(part, generator, decide=decide)]


def _cheat_table(
    model: RewardModel,
    contexts: Sequence[Dialogue],
    whose: Persons,
    honest: Floats64,
    recommending: Floats64,
    generator: np.random.Generator,
) -> dict[str, dict[str, float | None]]:
    """Every cheat against the SFT policy on the same contexts.

    A cheat that shows a slate meets the SFT policy's recommendations: else the table would tell how often each
    recommends, not what the reward thinks of the cheat. A cheat that shows none meets the policy as it acts.
    """
    table: dict[str, dict[str, float | None]] = {}
    for name, turns in _played(model, contexts, generator):
        got = rewards(model, contexts, turns)
        rival = recommending if turns[0].slate else honest
        difference = got - rival
        found = bootstrap_mean(difference, whose.groups, generator)
        table[name] = {
            "mean": float(got.mean()),
            "sft": float(rival.mean()),
            "sft_as_it_acts": float(honest.mean()),
            "difference": found.value,
            **ends(found),
            "n": float(len(got)),
            "clusters": float(found.groups),
            "share_below": float((difference < 0).mean()),
        }
    return table


def _played(
    model: RewardModel, contexts: Sequence[Dialogue], generator: np.random.Generator
) -> Iterator[tuple[str, list[Turn]]]:
    with progress(len(CHEATS), "examining the reward") as bar:
        for name, cheat in CHEATS.items():
            yield name, cheat(contexts, model.catalog, generator, True)
            bar.advance(note=name)


def _length(
    model: RewardModel,
    contexts: Sequence[Dialogue],
    whose: Persons,
    sft: Sequence[Turn],
    honest: Floats64,
    generator: np.random.Generator,
) -> dict[str, float | None]:
    """Correlation of reward and log reply words over the SFT policy's turns, plain and with the decision held fixed
    (a recommendation is longer than a question, because titles are words, and it is worth another reward)."""
    words = np.log1p(np.array([len(turn.text.split()) for turn in sft], dtype=np.float64))
    shown = np.array([turn.slate is not None for turn in sft])
    longer = rewards(model, contexts, [padded(turn, generator) for turn in sft])
    plain = pearson(honest, words, whose.groups, generator)
    within = pearson(centred(honest, shown), centred(words, shown), whose.groups, generator)
    gain = bootstrap_mean(longer - honest, whose.groups, generator)
    return {
        "correlation": plain["r"],
        "within_decision": within["r"],
        "within_low": within["ci_low"],
        "within_high": within["ci_high"],
        "n": plain["n"],
        "clusters": float(gain.groups),
        "padding_gain": gain.value,
        **ends(gain, "padding_"),
    }


def liked_auc(
    model: RewardModel, dialogues: Sequence[Dialogue], generator: np.random.Generator, least: int = 20
) -> tuple[dict[str, float | None], str]:
    """How well the reward of (context, the human's turn with that one item) tells what its user said of the item.

    Beside the plain AUC: the same for popularity and for reply length alone, and the reward's AUC within popularity
    fifths and within length fifths (only pairs of one stratum are compared). None with fewer than ``least`` of a kind.
    The second part is the unit that the intervals resample.
    """
    contexts, turns, liked, popularity, words = [], [], [], [], []
    for dialogue in (d.merged() for d in dialogues):
        for t, turn in enumerate(dialogue.turns):
            if turn.speaker != "agent" or turn.slate is None or t == 0:
                continue
            for item in turn.slate.items:
                judged = dialogue.judgements.get(item)
                if judged is None or judged.liked is None or item not in model.catalog:
                    continue
                contexts.append(dialogue.before(t))
                turns.append(replace(turn, slate=Slate((item,)), feedback=None))
                liked.append(judged.liked)
                popularity.append(float(model.catalog.counts[model.catalog.index(item)]))
                words.append(float(len(turn.text.split())))
    y = np.array(liked, dtype=bool)
    whose = persons(contexts)
    row: dict[str, float | None] = {"n": float(len(y)), "positives": float(y.sum())}
    row |= dict.fromkeys(("auc", "popularity_auc", "length_auc", "auc_within_popularity", "auc_within_length"))
    row |= dict.fromkeys(f"{name}_{end}" for name in INTERVALS for end in ("low", "high"))
    if min(y.sum(), (~y).sum()) < least:
        return row, whose.unit
    reward, p, w = rewards(model, contexts, turns), np.array(popularity), np.array(words)
    strata = {"auc": None, "auc_within_popularity": fifths(p), "auc_within_length": fifths(w)}
    for name in INTERVALS:
        found = auc_over(reward, y, whose.groups, generator, strata[name])
        row |= {name: found.value if found.n else None, **ends(found, f"{name}_")}
    return row | {"popularity_auc": auc(p, y), "length_auc": auc(w, y), "clusters": float(found.groups)}, whose.unit


def clicks_auc(
    model: RewardModel, held_out: Sequence[Observation], whose: Persons, generator: np.random.Generator, least: int = 20
) -> dict[str, float | None]:
    """How well the click model tells items that were clicked from others that stood in the same place; the AUC is None
    with fewer than ``least`` of a kind."""
    clicked = clicks_of(held_out)
    turn, place = np.nonzero(np.isfinite(clicked))
    y = clicked[turn, place] > 0.0
    row: dict[str, float | None] = {"n": float(len(y)), "positives": float(y.sum()), "auc": None}
    row |= {"ci_low": None, "ci_high": None, "clusters": 0.0}
    if min(y.sum(), (~y).sum()) < least:
        return row
    parts = [held_out[start : start + BATCH] for start in range(0, len(held_out), BATCH)]
    cards = torch.cat([model.features([o.context for o in part], [o.turn for o in part]).cards for part in parts])
    odds = model.clicks.log_odds(cards).double().cpu().numpy()[turn, place]
    found = auc_over(odds, y, np.asarray(whose.groups)[turn], generator, place)
    return row | {"auc": found.value if found.n else None, **ends(found), "clusters": float(found.groups)}


def summary(report: ValidationReport) -> Mapping[str, object]:
    """The few numbers a stage prints."""
    return {
        "passed": report.passed,
        "reasons": report.reasons,
        "undecided": report.undecided,
        "held_out": report.held_out,
        "engagement_pearson": report.pearson["engagement"]["r"],
        "clicks_auc": report.clicks.get("auc"),
        "liked_auc": report.liked["auc"],
        "length_correlation": report.length["correlation"],
        "length_within_decision": report.length["within_decision"],
        "people": {name: report.people[name]["auc"] for name in TOLD if name in report.people},
    }
