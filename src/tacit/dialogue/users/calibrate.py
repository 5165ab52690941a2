"""Fit what can be fitted from the training dialogues, and show it beside the data.

Latency: mean and deviation of the log gap from an agent message to the next user message. Turns and acceptance: the
speed of losing patience and the willingness to accept, found by bisection with a reference recommender that copies
the human recommenders' slate sizes and reply lengths and draws half of its cards from the user's hundred best items
and half by popularity. Dwell and scroll are in no public conversation log: emulated.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt

from tacit.catalog import Catalog
from tacit.dialogue.users.acts import LONGEST_GAP_S, decisions
from tacit.dialogue.users.behaviour import BehaviourConfig
from tacit.dialogue.users.people import People, PeopleConfig, draw_people
from tacit.dialogue.users.speech import FILM_RULES, Rules, intent_of
from tacit.dialogue.users.taste import Taste
from tacit.dialogue.users.user_state import Reaction, Tuning, UserState
from tacit.dialogue.users.voices import fit, observed
from tacit.types import Bools, Dialogue, Floats64

REFERENCE_TURNS = 20  # the reference conversations are cut here
REFERENCE_USERS = 256
MOST_CARDS = 5
FEWEST_TURNS = 3.0  # a source with fewer agent turns a dialogue holds pieces of conversations: lengths mean nothing
FEWEST_ACCEPTED = 0.05  # likewise for the share of dialogues with an acceptance
ROUNDS = 6  # of fitting willingness and speed in turn


@dataclass(frozen=True)
class CalibrationRow:
    """One line of the calibration table. ``data`` is None where no data carries the quantity."""

    quantity: str
    unit: str
    data: float | None
    simulated: float
    emulated: bool
    source: str


@dataclass(frozen=True)
class Observed:
    """What the training dialogues say; None = not observed there."""

    gaps: npt.NDArray[np.float64]  # seconds, agent message → user message
    turns: float  # mean agent turns a dialogue
    turns_sd: float
    accepted: float | None  # share of dialogues in which the user says it will watch an item
    agent: tuple[tuple[int, int], ...]  # (cards, words) of each merged agent turn


def observe(train: Sequence[Dialogue], rules: Rules = FILM_RULES) -> Observed:
    """``rules`` tell an acceptance by words; without any, only an accepted event does."""
    gaps: list[float] = []
    turns: list[int] = []
    accepted: list[bool] = []
    agent: list[tuple[int, int]] = []
    for dialogue in train:
        for before, after in zip(dialogue.turns, dialogue.turns[1:], strict=False):
            if before.speaker == "agent" and after.speaker == "user" and before.time_s is not None:
                gap = None if after.time_s is None else after.time_s - before.time_s
                if gap is not None and 0 < gap < LONGEST_GAP_S:
                    gaps.append(gap)
        merged = [turn for turn in dialogue.merged().turns if turn.speaker == "agent"]
        turns.append(len(merged))
        agent += [(len(t.slate.items) if t.slate else 0, len(t.text.split())) for t in merged]
        accepted.append(_accepts(dialogue, rules))
    return Observed(
        gaps=np.array(gaps),
        turns=float(np.mean(turns)),
        turns_sd=float(np.std(turns)),
        accepted=share if (share := float(np.mean(accepted))) >= FEWEST_ACCEPTED else None,
        agent=tuple(agent) or ((1, 10),),
    )


def _accepts(dialogue: Dialogue, rules: Rules) -> bool:
    """An accepted event, or a user utterance after the first recommendation that says it will watch something."""
    shown = False
    for turn in dialogue.turns:
        if turn.speaker == "agent":
            shown |= turn.slate is not None
            if turn.feedback is not None and turn.feedback.accepted:
                return True
        elif shown and intent_of(turn.text, 2, rules) == "accept":
            return True
    return False


def calibrate(
    catalog: Catalog,
    train: Sequence[Dialogue],
    taste: Taste,
    people_config: PeopleConfig,
    config: BehaviourConfig,
    seed: int,
    rules: Rules | None = FILM_RULES,
) -> tuple[Tuning, tuple[CalibrationRow, ...]]:
    """Tuning fitted to the data, and the table that shows it."""
    seen = observe(train, rules or ())
    tuning = Tuning()
    if len(seen.gaps) >= 20:
        logs = np.log(seen.gaps)
        tuning = replace(tuning, latency_log_mean=float(logs.mean()), latency_log_sd=float(logs.std()))
    reference = Reference(catalog, taste, people_config, config, seen, seed)
    for _ in range(ROUNDS):
        if seen.accepted is not None:
            tuning = replace(tuning, willing=bisect(reference.acceptance(tuning), seen.accepted, 0.02, 4.0))
        if seen.turns >= FEWEST_TURNS:
            tuning = replace(tuning, speed=bisect(reference.brevity(tuning), -seen.turns, 0.05, 4.0))
    spoken = observed([moment for dialogue in train for moment in decisions(dialogue, catalog)]) if rules else None
    if spoken is not None:
        tuning = replace(tuning, voices=fit(spoken, *reference.best_cards(tuning)))
    played = reference.play(tuning)
    return tuning, _table(seen, played)


def bisect(function: Callable[[float], float], goal: float, low: float, high: float, steps: int = 7) -> float:
    """x in [low, high] with function(x) nearest goal, for a rising function; halved on the log scale."""
    for _ in range(steps):
        middle = float(np.sqrt(low * high))
        if function(middle) < goal:
            low = middle
        else:
            high = middle
    return float(np.sqrt(low * high))


class Reference:
    """Plays the reference recommender against the same users with the same luck at every setting."""

    def __init__(
        self,
        catalog: Catalog,
        taste: Taste,
        people_config: PeopleConfig,
        config: BehaviourConfig,
        seen: Observed,
        seed: int,
    ) -> None:
        generator = np.random.default_rng(seed)
        hundred = replace(people_config, targets=100)
        self.people: People = draw_people(taste, hundred, REFERENCE_USERS, generator)
        self._parts = (taste, people_config, config)
        self._seed = seed
        n = len(self.people)
        cards = np.array(seen.agent)[generator.integers(len(seen.agent), size=(n, REFERENCE_TURNS))]
        self._sizes = np.minimum(cards[..., 0], MOST_CARDS)
        self._words = cards[..., 1].astype(np.float64)
        popular = (catalog.counts + 0.01) / (catalog.counts + 0.01).sum()
        shape = (n, REFERENCE_TURNS, MOST_CARDS)
        broad = generator.choice(len(catalog), size=shape, p=popular)
        at = generator.integers(self.people.targets.shape[1], size=shape)
        good = self.people.targets[np.arange(n)[:, None, None], at]
        self._rows = np.where(generator.random(shape) < 0.5, good, broad)

    def acceptance(self, tuning: Tuning) -> Callable[[float], float]:
        """willing → share of conversations that end in an acceptance."""
        return lambda willing: self.play(replace(tuning, willing=willing))["accepted"]

    def brevity(self, tuning: Tuning) -> Callable[[float], float]:
        """speed → minus the mean number of turns."""
        return lambda speed: -self.play(replace(tuning, speed=speed))["turns"]

    def play(self, tuning: Tuning) -> dict[str, float]:
        """Means over the reference users: turns, accepted, left, latency_s, log_latency_sd, dwell_s, scroll."""
        n = len(self.people)
        turns, accepted, left = np.zeros(n), np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
        latencies, dwells, scrolls = [], [], []
        for active, reaction in self._turns(tuning):
            turns += active
            latencies.append(reaction.latency_s[active & ~reaction.left])
            dwells.append(reaction.dwell_s[active])
            scrolls.append(reaction.scroll[active])
            accepted |= active & (reaction.accepted >= 0)
            left |= active & reaction.left
        latency = np.concatenate(latencies)
        return {
            "turns": float(turns.mean()),
            "turns_sd": float(turns.std()),
            "accepted": float(accepted.mean()),
            "left": float(left.mean()),
            "latency_s": float(np.median(latency)),
            "latency_log_sd": float(np.log(latency).std()),
            "dwell_s": float(np.median(np.concatenate(dwells))),
            "scroll": float(np.mean(np.concatenate(scrolls))),
        }

    def best_cards(self, tuning: Tuning) -> tuple[Floats64, Bools]:
        """Of each turn with cards after which a user stays: utility of the best card it looked at, and whether it was
        shown or known before, [m] each."""
        utility, again = [], []
        for active, reaction in self._turns(tuning):
            stays = active & reaction.examined.any(1) & (reaction.accepted < 0) & ~reaction.left
            worth = np.where(reaction.examined, reaction.utility, -1.0)[stays]
            utility.append(worth.max(1))
            again.append(reaction.repeated[stays, worth.argmax(1)])
        return np.concatenate(utility), np.concatenate(again)

    def _turns(self, tuning: Tuning) -> Iterator[tuple[Bools, Reaction]]:
        """Who is there [n] and what all do, until nobody is left."""
        user_state = UserState(self.people, *self._parts, tuning, np.random.default_rng(self._seed + 1))
        active: Bools = np.ones(len(self.people), dtype=bool)
        for t in range(REFERENCE_TURNS):
            mask = np.arange(MOST_CARDS) < self._sizes[:, t, None]
            reaction = user_state.react(self._rows[:, t], mask, self._words[:, t], active)
            yield active, reaction
            active = active & (reaction.accepted < 0) & ~reaction.left
            if not active.any():
                return


def _table(seen: Observed, played: dict[str, float]) -> tuple[CalibrationRow, ...]:
    timed, whole = len(seen.gaps) >= 20, seen.turns >= FEWEST_TURNS
    gap_s = float(np.median(seen.gaps)) if timed else None
    gap_sd = float(np.log(seen.gaps).std()) if timed else None

    def fitted(is_fitted: bool) -> tuple[bool, str]:
        return not is_fitted, "fitted on the training dialogues" if is_fitted else "this data cannot tell: as in ReDial"

    ours = (True, "no data carries it: constants of our own")
    follows = (not whole, "follows from the fit")
    return (
        CalibrationRow("latency, median", "s", gap_s, played["latency_s"], *fitted(timed)),
        CalibrationRow("latency, sd of log", "", gap_sd, played["latency_log_sd"], *fitted(timed)),
        CalibrationRow("agent turns, mean", "turns", seen.turns if whole else None, played["turns"], *fitted(whole)),
        CalibrationRow("agent turns, sd", "turns", seen.turns_sd if whole else None, played["turns_sd"], *follows),
        CalibrationRow(
            "dialogues with an acceptance",
            "share",
            seen.accepted,
            played["accepted"],
            *fitted(seen.accepted is not None),
        ),
        CalibrationRow("dialogues left", "share", None, played["left"], *ours),
        CalibrationRow("dwell, median", "s", None, played["dwell_s"], *ours),
        CalibrationRow("scroll depth, mean", "share", None, played["scroll"], *ours),
    )


def rows_to_json(rows: Sequence[CalibrationRow]) -> list[dict[str, object]]:
    return [asdict(row) for row in rows]
