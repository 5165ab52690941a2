"""A log of n rounds as an estimator reads it: what was drawn with which probability, and what it earned."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from tacit.types import Bools, Floats64, InputError, Ints64

Names = npt.NDArray[Any]
# A probability written in float32 may pass 1 by one part in eight million (obp's sum to 1.0000000149): that is 1.
SLACK = 1e-6
# Products of weights and rewards, squared and added up, must stay numbers: the largest weight is 1 / LEAST.
LEAST, LARGEST = 1e-100, 1e15


@dataclass(frozen=True, eq=False)
class Log:
    """n rounds of slates of up to K places. Everything is turned into float64; what cannot be is ``InputError``.

    The action of a round is its decision (to recommend, or only to reply) and then its slate, place by place.

    - ``logged``, ``target`` [n, K]: P(item at place k | context, items before) of the policy that drew the slate and of
      the one to be judged. NaN in ``logged`` where the slate ended before place k.
    - ``rewards`` [n, K], one a place, or [n], one a slate.
    - ``sessions``, ``users`` [n]: whose rounds belong together, "" or None where it is not known. Intervals treat as
      one whatever shares a session or a user.
    - ``logged_decision``, ``target_decision`` [n]: P(the decision that was taken); 1 where there was none to take.
    - ``weight`` [n]: how much a round counts, such as the influence that is left to an account.
    - ``versions`` [n]: the policy that drew. ``uniform`` [n]: rounds whose whole slate was drawn uniformly, on
      purpose. ``explored`` [n]: rounds in which chance, and not the policy, drew at least one place.
    - ``contexts`` [n], ``items`` [n, K]: names, so that what was drawn can be counted where contexts repeat.
    - ``features`` [n, d]: of the context, for the reward model.
    - ``target_items``, ``target_shares`` [n, K, M]: what the policy to be judged would draw at place k after the items
      that were logged before it, with which probability (all items, or a sample with equal shares); shares add up to 1,
      and are 0 beyond. ``target_slates`` [n, S, K]: slates that it drew itself. For the reward model, as ``items``.
    - ``logged_marginal``, ``target_marginal`` [n, K]: P(item at place k | context), whatever stands before it. Where
      absent, IIPS and PI take the conditional ones, which is right where places are drawn one without the other.
    - ``logged_click``, ``target_click`` [n, K]: P(a click on this item | context, policy), for CIPS; ``clicks`` [n, K]
      and ``target_clicks`` [n], how many clicks the policy to be judged would get in all, for CDR.
    - ``epsilon``, ``candidates`` [n]: the share drawn uniformly, and among how many items.
    """

    logged: Floats64
    target: Floats64
    rewards: Floats64
    sessions: Names | None = None
    users: Names | None = None
    logged_decision: Floats64 | None = None
    target_decision: Floats64 | None = None
    weight: Floats64 | None = None
    versions: Names | None = None
    explored: Bools | None = None
    contexts: Names | None = None
    items: Names | None = None
    features: Floats64 | None = None
    logged_marginal: Floats64 | None = None
    target_marginal: Floats64 | None = None
    logged_click: Floats64 | None = None
    target_click: Floats64 | None = None
    epsilon: Floats64 | None = None
    candidates: Floats64 | None = None
    uniform: Bools | None = None
    clicks: Floats64 | None = None
    target_clicks: Floats64 | None = None
    target_items: Names | None = None
    target_shares: Floats64 | None = None
    target_slates: Names | None = None

    def __post_init__(self) -> None:
        for name in _NUMBERS:
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, np.array(value, dtype=np.float64))
        for name in ("logged", "target"):
            if getattr(self, name).ndim == 1:  # slates of one place
                object.__setattr__(self, name, getattr(self, name)[:, None])
        for name in ("sessions", "users", "versions", "contexts"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, np.asarray(value, dtype=object))
        if self.items is not None:
            items = np.asarray(self.items)
            object.__setattr__(self, "items", items[:, None] if items.ndim == 1 else items)
        for name in ("explored", "uniform"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, np.asarray(value, dtype=np.bool_))
        for name in ("target_items", "target_slates"):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, np.asarray(value))
        self._check_shapes()
        self._check_probabilities()
        self._check_numbers()

    @property
    def n(self) -> int:
        return len(self.logged)

    @property
    def places(self) -> int:
        return int(self.logged.shape[1])

    @property
    def shown(self) -> Bools:
        """[n, K]: True where the slate has an item."""
        return np.asarray(~np.isnan(self.logged))

    @property
    def recommends(self) -> Bools:
        """[n]: True where anything was shown at all."""
        return np.asarray(self.shown.any(axis=1))

    @property
    def target_recommends(self) -> Floats64:
        """[n]: the probability with which the policy to be judged recommends; 1 where no decision is logged."""
        if self.target_decision is None:
            return np.ones(self.n)
        return np.where(self.recommends, self.target_decision, 1.0 - self.target_decision)

    @property
    def deterministic(self) -> bool:
        """Was nothing drawn by chance?"""
        decided = self.logged_decision is None or bool((self.logged_decision == 1.0).all())
        return decided and bool((self.logged[self.shown] == 1.0).all()) and bool(self.shown.any())

    @property
    def by_place(self) -> bool:
        """Is there a reward of each place?"""
        return self.rewards.ndim == 2

    @cached_property
    def slate_rewards(self) -> Floats64:
        """[n]: of the whole slate; rewards of places added up."""
        return np.where(self.shown, self.rewards, 0.0).sum(axis=1) if self.by_place else self.rewards

    @cached_property
    def counts(self) -> Floats64:
        """[n]: ``weight``, or ones."""
        return np.ones(self.n) if self.weight is None else self.weight

    @cached_property
    def clusters(self) -> Ints64:
        """[n]: numbers of the groups of rounds that share a session or a user, directly or through others."""
        rounds, others, first = [np.arange(self.n)], [np.arange(self.n)], self.n
        for names in (self.sessions, self.users):
            if names is None:
                continue
            known = np.array([name is not None and name != "" for name in names], dtype=np.bool_)
            if not known.any():
                continue
            _, number = np.unique(names[known].astype(str), return_inverse=True)
            rounds.append(np.flatnonzero(known))
            others.append(first + number)
            first += int(number.max()) + 1
        i, j = np.concatenate(rounds), np.concatenate(others)
        _, labels = connected_components(coo_array((np.ones(len(i)), (i, j)), shape=(first, first)), directed=False)
        _, numbers = np.unique(labels[: self.n], return_inverse=True)
        return numbers.astype(np.int64)

    def rows(self, kept: Bools | Ints64) -> Log:
        """The same log with these rounds alone."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return replace(self, **{name: value[kept] for name, value in fields.items() if value is not None})

    def on_itself(self) -> Log:
        """The log as if the policy to be judged were the one that drew it: every ratio is 1."""
        return replace(
            self,
            target=self.logged,
            target_decision=self.logged_decision,
            target_marginal=self.logged_marginal,
            target_click=self.logged_click,
        )

    def _check_shapes(self) -> None:
        if not self.n:
            raise InputError("The log has no round: there is nothing to estimate from.")
        shapes: dict[str, tuple[int, ...]] = {"target": (self.n, self.places), "items": (self.n, self.places)}
        for name in ("logged_marginal", "target_marginal", "logged_click", "target_click", "clicks"):
            shapes[name] = (self.n, self.places)
        for name in ("sessions", "users", "logged_decision", "target_decision", "weight", "versions", "explored"):
            shapes[name] = (self.n,)
        for name in ("contexts", "epsilon", "candidates", "uniform", "target_clicks"):
            shapes[name] = (self.n,)
        shapes["rewards"] = (self.n, self.places) if self.rewards.ndim == 2 else (self.n,)
        for name, shape in shapes.items():
            value = getattr(self, name)
            if value is not None and value.shape != shape:
                raise InputError(f"{name} has the shape {value.shape}: it must be {shape}, as the log has them.")
        if self.features is not None and (self.features.ndim != 2 or len(self.features) != self.n):
            raise InputError(f"features have the shape {self.features.shape}: they must be [{self.n}, d].")
        for one, other in _TOGETHER:
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise InputError(f"{one} and {other} go together: give both, or neither.")
        if self.target_items is not None and self.target_items.shape[:2] != (self.n, self.places):
            raise InputError(f"target_items have the shape {self.target_items.shape}: [{self.n}, {self.places}, M].")
        if self.target_slates is not None and self.target_slates.shape[::2] != (self.n, self.places):
            raise InputError(f"target_slates have the shape {self.target_slates.shape}: [{self.n}, S, {self.places}].")

    def _check_probabilities(self) -> None:
        beyond = self.shown.shape[1] and (np.diff(self.shown.astype(np.int8), axis=1) > 0).any()
        if beyond:
            raise InputError("A slate has an item after a place without one: logged must be NaN from its end on.")
        if self.logged_decision is None and not self.recommends.all():
            bare = int(np.flatnonzero(~self.recommends)[0]) + 1
            raise InputError(f"Round {bare} has no logged probability: give one, or the decision to show nothing.")
        for name in _PROBABILITIES:
            value = getattr(self, name)
            if value is None:
                continue
            seen = self.shown if value.ndim == 2 else np.ones(self.n, dtype=np.bool_)
            self._check(name, seen)
            object.__setattr__(self, name, np.where(seen, np.minimum(value, 1.0), np.nan))
        self._check_ratios()

    def _check_ratios(self) -> None:
        """Products of many ratios leave what numbers hold, however right each is."""
        with np.errstate(divide="ignore", invalid="ignore"):  # of a target of 0, and past a slate's end
            exponents = np.where(self.shown, np.log10(self.target) - np.log10(self.logged), 0.0)
            if self.logged_decision is not None and self.target_decision is not None:
                exponents[:, 0] += np.log10(self.target_decision) - np.log10(self.logged_decision)
        highest = np.cumsum(exponents, axis=1).max(axis=1)
        if (beyond := highest > -np.log10(LEAST)).any():
            found = int(np.flatnonzero(beyond)[0])
            raise InputError(
                f"What was shown in round {found + 1} is 1e{highest[found]:.0f} times likelier under the policy to be "
                f"judged ({int(beyond.sum())} such): no weight can be told; look at logged and target there."
            )

    def _check_numbers(self) -> None:
        for name in ("rewards", "clicks", "weight", "features", "target_clicks", "epsilon", "candidates"):
            if (value := getattr(self, name)) is not None:
                of_places = name in ("rewards", "clicks") and value.ndim == 2
                self._check(name, self.shown if of_places else np.ones(value.shape, dtype=np.bool_))
        if self.weight is not None and not self.weight.any():
            raise InputError("weight must be above 0 somewhere.")

    def _check(self, name: str, seen: Bools) -> None:
        value = getattr(self, name)
        wrong, said = unfit(name, value, seen)
        if wrong.any():
            first = np.argwhere(wrong)[0]
            column = "column" if name == "features" else "place"
            place = f", {column} {first[1] + 1}" if len(first) == 2 else ""
            found = f"{name} of round {first[0] + 1}{place} is {value[tuple(first)]:.6g} ({int(wrong.sum())} such): "
            raise InputError(found + said)


_NUMBERS = (
    "logged", "target", "rewards", "logged_decision", "target_decision", "weight", "features", "logged_marginal",
    "target_marginal", "logged_click", "target_click", "epsilon", "candidates", "target_shares",
    "clicks", "target_clicks",
)  # fmt: skip
_TOGETHER = (
    ("logged_decision", "target_decision"), ("logged_marginal", "target_marginal"), ("logged_click", "target_click"),
    ("target_items", "target_shares"),
)  # fmt: skip
_PROBABILITIES = (
    "logged", "target", "logged_decision", "target_decision", "logged_marginal", "target_marginal", "logged_click",
    "target_click",
)  # fmt: skip
_LOWEST = {"weight": 0.0, "clicks": 0.0, "target_clicks": 0.0, "epsilon": 0.0, "candidates": 1.0}


def unfit(name: str, value: Floats64, seen: Bools) -> tuple[Bools, str]:
    """Which of the numbers ``seen`` of a field of ``Log`` cannot be, in their shape; and of the first of them in words
    what it must be, and what usually lies behind it."""
    with np.errstate(invalid="ignore"):
        if name in _PROBABILITIES:
            least = LEAST if name.startswith("logged") else 0.0
            wrong = seen & ~((value >= least) & (value <= 1.0 + SLACK))
        elif name in _LOWEST:
            wrong = seen & ~((value >= _LOWEST[name]) & (value <= (1.0 if name == "epsilon" else LARGEST)))
        else:
            wrong = seen & ~(np.abs(value) <= LARGEST)
    if name == "candidates":
        wrong &= ~np.isnan(value)
    return wrong, _remedy(name, float(value[wrong][0])) if wrong.any() else ""


def _remedy(name: str, found: float) -> str:
    if name not in _PROBABILITIES:
        if np.isnan(found):
            return "leave rounds without one out, or say 0."
        least = f" and at least {_LOWEST[name]:g}" if name in _LOWEST else ""
        most = "1: it is a share" if name == "epsilon" else f"{LARGEST:g} in size: count in other units"
        return f"it must be a number{least}, at most {most}."
    own = name.startswith("logged")
    if np.isnan(found):
        why = "every item of a slate needs one."
    elif found < 0.0:
        why = "it looks like a logarithm; give its exponential."
    elif found > 1.0:
        why = "a probability above 1 was scaled, or is a weight; log the one it was drawn with."
    elif found == 0.0:
        why = "what was drawn had a chance; log the probability that it was drawn with."
    else:
        why = f"nothing is ever drawn with less than {LEAST:g}, and its weight could not be computed with."
    return f"it must be in {'(0, 1]' if own else '[0, 1]'}: {why}"
