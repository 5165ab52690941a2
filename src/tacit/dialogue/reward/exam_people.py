"""Does the reward's word on people agree with what people did? By persons kept from training, length held fixed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tacit.dialogue.reward.cheats import OF_PEOPLE, padded
from tacit.dialogue.reward.foretell import HEADS, Foreteller
from tacit.dialogue.reward.listening import mood
from tacit.dialogue.reward.mismatches import KINDS, Place, places
from tacit.dialogue.reward.model import RewardModel
from tacit.dialogue.reward.reacting import Lessons, lessons, reader
from tacit.dialogue.reward.satisfaction import foretold, satisfaction, whole
from tacit.dialogue.reward.statistics import auc_over, ends, fifths, partial_pearson, pearson
from tacit.metrics.intervals import Groups, bootstrap_mean
from tacit.metrics.persons import of_dialogues
from tacit.metrics.ranks import auc
from tacit.types import Dialogue, Floats64

Row = dict[str, float | None]
LEAST = 20  # of either kind, for an AUC
CHEATED = 300  # places of real turns where cheats speak instead
FORETOLD = ("accept", "refuse", "request", "end")


def examine_people(
    model: Foreteller, reward: RewardModel, dialogues: Sequence[Dialogue], seed: int, cache: Path | None = None
) -> tuple[dict[str, Row], str]:
    """Name → a row with ``auc`` (or ``r``), ``ci_low``, ``ci_high``, ``n``, ``positives``, ``clusters``, and
    ``words_auc``, what counting the reply's words gives; and whose independence the intervals rest on."""
    real = places(dialogues)
    generator = np.random.default_rng([seed, 26])
    if not real:
        return {}, "dialogues"
    made = lessons(model, real, seed, reader(reward, dialogues, cache))
    heads = model.heads(made.situation).double().cpu().numpy()
    whose = of_dialogues([place.dialogue for place in made.places])
    seen = _seen(model, real)
    first = np.array([kind == "real" for kind in made.kinds])
    table = _wrong_turns(made, heads, seen.words, whose.groups, generator)
    rows = heads[first]
    strata = 10 * (1 + fifths(seen.popularity)) * seen.shows.astype(np.int64) + fifths(seen.words)
    for name in FORETOLD:
        column = HEADS.index(name)
        told = np.isfinite(made.targets[first, column])
        yes = made.targets[first][told, column] > 0
        table[name] = _auc(
            rows[told, column], yes, seen.words[told], whose.groups[first][told], generator, strata[told]
        )
    column = HEADS.index("pleased")
    table["pleased"] = pearson(rows[:, column], made.targets[first, column], whose.groups[first], generator)
    table |= _liked(model, seen, made, rows, whose.groups[first], generator)
    table |= _whole(model, seen, made, rows, whose.groups[first], generator)
    table |= _cheats(model, seen, _parts(model, seen, made, rows)[1], whose.groups[first], generator)
    return {name: {key: _said(value) for key, value in row.items()} for name, row in table.items()}, whose.unit


def _said(value: float | None) -> float | None:
    """To nine decimals: what lies beyond is the order of a processor's sums."""
    return None if value is None else round(value, 9)


@dataclass(frozen=True)
class _Seen:
    """A row a real turn."""

    places: Sequence[Place]
    words: Floats64
    popularity: Floats64
    shows: npt.NDArray[np.bool_]
    latency: Floats64  # seconds to the user's next words; NaN where no times were kept


def _seen(model: Foreteller, real: Sequence[Place]) -> _Seen:
    catalog, words, popularity, latency = model.catalog, [], [], []
    for place in real:
        items = [item for item in (place.turn.slate.items if place.turn.slate else ()) if item in catalog]
        words.append(math.log1p(len(model.listener.masked(place.turn.text).split())))
        popularity.append(float(np.mean([catalog.counts[catalog.index(i)] for i in items])) if items else math.nan)
        after = place.dialogue.turns[place.t + 1 : place.t + 2]
        times = [turn.time_s for turn in (place.turn, *after)]
        latency.append(times[1] - times[0] if len(times) == 2 and None not in times else math.nan)  # type: ignore
    found = np.array(popularity)
    return _Seen(real, np.array(words), np.nan_to_num(found, nan=-1.0), np.isfinite(found), np.array(latency))


def _wrong_turns(
    made: Lessons, heads: Floats64, words: Floats64, groups: Groups, generator: np.random.Generator
) -> dict[str, Row]:
    """The share of wrong turns of each kind that are told from the real one of their place, and the AUC of real
    against mismatched turns of the same fifth of length."""
    fits, kinds, beside = heads[:, HEADS.index("fits")], np.array(made.kinds), np.array(made.real)
    table: dict[str, Row] = {}
    for kind in KINDS:
        rows = np.flatnonzero(kinds == kind)
        if len(rows):
            margin = fits[beside[rows]] - fits[rows]
            won = bootstrap_mean((np.sign(margin) + 1) / 2, np.asarray(groups)[rows], generator)
            table[f"real against {kind}"] = {
                "auc": won.value,
                **ends(won),
                "n": float(len(rows)),
                "clusters": float(won.groups),
            }
    rows = np.flatnonzero((kinds == "real") | (kinds == "mismatched"))
    length = np.empty(len(kinds))
    length[kinds == "real"] = words
    length = length[beside]  # a mismatched turn is as long as the real one
    table["real against mismatched, pooled"] = _auc(
        fits[rows], kinds[rows] == "real", length[rows], np.asarray(groups)[rows], generator, fifths(length[rows])
    )
    return table


def _auc(
    scores: Floats64,
    positive: npt.NDArray[np.bool_],
    words: Floats64,
    groups: Groups,
    generator: np.random.Generator,
    strata: npt.NDArray[np.int64] | None = None,
) -> Row:
    row: Row = {
        "auc": None,
        "ci_low": None,
        "ci_high": None,
        "n": float(len(scores)),
        "positives": float(positive.sum()),
    }
    if min(positive.sum(), (~positive).sum()) < LEAST:
        return row
    found = auc_over(scores, positive, groups, generator, strata)
    if not found.n:
        return row  # no pair shares a stratum
    return row | {"auc": found.value, **ends(found), "clusters": float(found.groups), "words_auc": auc(words, positive)}


def _parts(model: Foreteller, seen: _Seen, made: Lessons, rows: Floats64) -> tuple[Floats64, Floats64]:
    """What was observed of each real turn, and what is foretold."""
    observed = np.array([target[HEADS.index("pleased")] for target in made.targets[[k == "real" for k in made.kinds]]])
    moods = np.array([mood(model.listener.pleasures(place.dialogue.turns[: place.t])) for place in seen.places])
    return observed, foretold(moods, rows, model)


def _liked(
    model: Foreteller, seen: _Seen, made: Lessons, rows: Floats64, groups: Groups, generator: np.random.Generator
) -> dict[str, Row]:
    """What seekers said afterwards of the items of a turn, against the satisfaction with it, its parts, and how long
    they took to answer."""
    at, liked = [], []
    for k, place in enumerate(seen.places):
        for item in place.turn.slate.items if place.turn.slate else ():
            word = place.dialogue.judgements.get(item)
            if word is not None and word.liked is not None:
                at.append(k)
                liked.append(word.liked)
    index, y = np.array(at, dtype=np.int64), np.array(liked, dtype=bool)
    observed, expected = _parts(model, seen, made, rows)
    scores = {
        "liked, observed": observed,
        "liked, foretold": expected,
        "liked, satisfaction": satisfaction(observed, expected),
        "liked, quick to answer": -np.log1p(seen.latency),
    }
    table = {}
    for name, values in scores.items():
        told = np.isfinite(values[index])
        part = index[told]
        table[name] = _auc(values[part], y[told], seen.words[part], np.asarray(groups)[part], generator)
    return table


def _whole(
    model: Foreteller, seen: _Seen, made: Lessons, rows: Floats64, groups: Groups, generator: np.random.Generator
) -> dict[str, Row]:
    """Whole dialogues: satisfaction against whether nothing that was recommended was disliked, and its correlation
    with the numbers of turns, of the agent's and of the user's words, each with the other two held fixed."""
    observed, expected = _parts(model, seen, made, rows)
    ids = np.array([place.dialogue.id for place in seen.places])
    value, sizes, verdicts, whose = [], [], [], []
    for id in dict.fromkeys(ids.tolist()):
        index = np.flatnonzero(ids == id)
        dialogue = seen.places[index[0]].dialogue
        value.append(whole(satisfaction(observed[index], expected[index]).tolist()) or 0.0)
        words = [sum(len(t.text.split()) for t in dialogue.turns if t.speaker == who) for who in ("agent", "user")]
        sizes.append([math.log1p(x) for x in (len(index), *words)])
        shown = [item for t in dialogue.turns if t.slate and t.speaker == "agent" for item in t.slate.items]
        judged = [word.liked for item in shown if (word := dialogue.judgements.get(item)) and word.liked is not None]
        verdicts.append(float(all(judged)) if judged else math.nan)
        whose.append(np.asarray(groups)[index[0]])
    values, size, y, people = np.array(value), np.array(sizes), np.array(verdicts), np.array(whose)
    told = np.isfinite(y)
    table = {"all liked, whole dialogue": _auc(values[told], y[told] > 0, size[told, 1], people[told], generator)}
    for k, name in enumerate(("turns", "agent's words", "user's words")):
        others = size[:, [j for j in range(3) if j != k]]
        table[f"satisfaction and {name}"] = partial_pearson(values, size[:, k], others, people, generator)
    return table


def _cheats(
    model: Foreteller, seen: _Seen, real: Floats64, groups: Groups, generator: np.random.Generator
) -> dict[str, Row]:
    """Of each cheat in the places of real turns, and of real turns with a ramble after them: how often less is foretold
    of it than of the real turn, ties half."""
    some = generator.permutation(len(seen.places))[:CHEATED]
    contexts = [seen.places[k].context for k in some]
    moods = np.array([mood(model.listener.pleasures(context.turns)) for context in contexts])
    made = {name: cheat(contexts, model.catalog, generator, True) for name, cheat in OF_PEOPLE.items()}
    made["padded"] = [padded(seen.places[k].turn, generator) for k in some]
    table = {}
    for name, turns in made.items():
        heads = model.heads(model.situations(contexts, turns)).double().cpu().numpy()
        less = (np.sign(real[some] - foretold(moods, heads, model)) + 1) / 2
        won = bootstrap_mean(less, np.asarray(groups)[some], generator)
        table[f"real above {name}"] = {"auc": won.value, **ends(won), "n": float(won.n), "clusters": float(won.groups)}
    return table
