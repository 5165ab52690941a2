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
        self._check_rewards()

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
        for name in _PROBABILITIES:
            value = getattr(self, name)
            if value is None:
                continue
            seen = self.shown if value.ndim == 2 else np.ones(self.n, dtype=np.bool_)
            own = name.startswith("logged")
            wrong = seen & ~((value > 0.0 if own else value >= 0.0) & (value <= 1.0 + SLACK))
            if wrong.any():
                raise InputError(_outside(name, value, wrong, "(0, 1]" if own else "[0, 1]"))
            object.__setattr__(self, name, np.where(seen, np.minimum(value, 1.0), np.nan))

    def _check_rewards(self) -> None:
        seen = self.shown if self.by_place else np.ones(self.n, dtype=np.bool_)
        wrong = seen & ~np.isfinite(self.rewards)
        if wrong.any():
            raise InputError(_where("rewards", self.rewards, wrong) + "leave rounds without a reward out, or say 0.")
        if self.weight is not None:
            wrong = ~(np.isfinite(self.weight) & (self.weight >= 0.0))
            if wrong.any() or not self.weight.any():
                raise InputError("weight must be finite, at least 0, and above 0 somewhere.")
        if self.features is not None and not np.isfinite(self.features).all():
            raise InputError("features must be finite: fill in what is missing.")


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


def _where(name: str, value: Floats64, wrong: Bools) -> str:
    first = np.argwhere(wrong)[0]
    place = f", place {first[1] + 1}" if len(first) == 2 else ""
    return f"{name} of round {first[0] + 1}{place} is {value[tuple(first)]:g} ({int(wrong.sum())} such): "


def _outside(name: str, value: Floats64, wrong: Bools, allowed: str) -> str:
    """Why a probability is refused, and what usually lies behind it."""
    found = float(value[tuple(np.argwhere(wrong)[0])])
    if found == 0.0:
        remedy = "what was drawn had a chance; log the probability that it was drawn with."
    elif np.isnan(found):
        remedy = "every item of a slate needs one."
    elif found < 0.0:
        remedy = "it looks like a logarithm; give its exponential." if name == "logged" else "it must not be negative."
    else:
        remedy = "a probability above 1 was scaled, or is a weight; log the one it was drawn with."
    return _where(name, value, wrong) + f"it must be in {allowed}: {remedy}"
