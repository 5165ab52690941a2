"""What is served at this moment: policies by name, each with its shelf. A change makes a new snapshot of it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from tacit.dialogue.policy.policy import Policy
from tacit.recommender import policy_of
from tacit.run.files import atomic_write
from tacit.serve.items import Changes, Shelf, read_changes
from tacit.serve.pointer import Canary
from tacit.serve.registry import Registry
from tacit.serve.stamp import stamp
from tacit.types import InputError, Item

log = logging.getLogger(__name__)
CURRENT, BESIDE = "tacit", "tacit-beside"  # names of models


@dataclass(frozen=True)
class Served:
    """A policy as people talk to it. ``version`` is the registry's; ``trained`` is the policy without added items."""

    version: str
    policy: Policy
    shelf: Shelf
    trained: Policy


@dataclass(frozen=True)
class Trying:
    """A candidate that is given to a share of the sessions which ask for the current policy."""

    canary: Canary
    served: Served


class Live:
    """Safe to call from any thread. Loading takes its time in the thread that asks for it; nobody waits meanwhile."""

    def __init__(
        self,
        run: Path,
        registry: Registry,
        items: Path,
        stage: str = "",
        beside: Path | None = None,
        device: str = "cpu",
    ) -> None:
        self.run, self.registry, self.items, self.stage = run, registry, items, stage
        self._beside, self._device, self._lock = beside, device, threading.RLock()
        self._seen: tuple[int, int, int] | None = None  # of the items file, when it was last read
        self._changes = Changes()
        self._pointer: tuple[int, int, int] | None = None  # of the registry's pointer, when it was last followed
        self._trained: dict[str, Policy] = {}  # loaded ones by version: going back to one takes no time
        self.served: dict[str, Served] = {}
        self.trying: Trying | None = None

    @property
    def current(self) -> str:
        """The version that is served to those who are not given a candidate."""
        return self.served[CURRENT].version

    def for_session(self, model: str, session: str, begun_with: str | None) -> Served:
        """Who answers this session. One that has begun stays with its version for as long as that is served."""
        served, trying = self.served[model], self.trying
        if model != CURRENT or trying is None:
            return served
        if begun_with is None:
            return trying.served if trying.canary.chooses(session) else served
        return trying.served if begun_with == trying.served.version else served

    def start(self) -> None:
        """Load what is current; of a new registry, the policy of the run."""
        with self._lock:
            self._changes = self._read_items() or Changes()
            if self.registry.current() is None:
                first = self.registry.add(policy_folder(self.run, self.stage))
                self.registry.promote(first, "the run's policy when the server first started")
            self.follow(start=True)
            if self._beside is not None:
                self._put(BESIDE, self.registry.add(policy_folder(self._beside)))

    def moved(self) -> bool:
        """Did anyone change what the registry says?"""
        return self.registry.stamp() != self._pointer

    def follow(self, start: bool = False) -> None:
        """Serve what the registry says. What cannot be loaded changes nothing, but when the server starts."""
        with self._lock:
            self._pointer = self.registry.stamp()
            current, canary = self.registry.current(), self.registry.candidate()
            if current is None:
                return
            if start or current != self.current:
                self._put(CURRENT, current)
            if canary is None:
                self.trying = None
            elif self.trying is None or self.trying.canary != canary:
                self.trying = Trying(canary, self._load(canary.version))
            self._forget({current, *self.registry.history()[-2:], *([canary.version] if canary else [])})

    def reload(self, who: str, force: str = "") -> str:
        """Register the run's policy as it is now, and promote it, which the gate or ``force`` must allow; its version.
        Turns that are being written end as they began."""
        with self._lock:
            version = self.registry.add(policy_folder(self.run, self.stage))
            self._load(version)  # before it is current: one that cannot be loaded never is
            self.registry.promote(version, "the run's policy, by a reload", who, force)
            self.follow()
            return version

    def rollback(self, who: str) -> str:
        with self._lock:
            version = self.registry.rollback("by the server's operator", who)
            self.follow()
            return version

    def change_items(self, changes: Changes) -> None:
        """Write the file and serve by it."""
        with self._lock:
            changes.items()
            atomic_write(self.items, msgspec.json.encode(changes))
            self._seen = stamp(self.items)
            self._apply(changes)

    @property
    def changes(self) -> Changes:
        return self._changes

    def items_changed(self) -> bool:
        return stamp(self.items) != self._seen

    def refresh_items(self) -> None:
        """Read the file anew. One that is damaged changes nothing, and is said once."""
        with self._lock:
            changes = self._read_items()
            if changes is not None and changes != self._changes:
                self._apply(changes)

    def _read_items(self) -> Changes | None:
        self._seen = stamp(self.items)
        if self._seen is None:
            return Changes()
        try:
            return read_changes(self.items.read_bytes())
        except (InputError, OSError):
            log.warning("%s cannot be read as changed items: nothing was changed", self.items.name)
            return None

    def _apply(self, changes: Changes) -> None:
        """What is gone is gone at once; what is new comes when its text was read."""
        self._changes = changes
        self._each(lambda served: replace(served, shelf=Shelf(served.policy.catalog, changes)))
        added = changes.items()
        self._each(lambda served: _with_items(served.version, served.trained, added, changes, served.policy))

    def _each(self, change: Callable[[Served], Served]) -> None:
        for name, served in list(self.served.items()):
            self._swap(name, change(served))
        if self.trying is not None:
            self.trying = replace(self.trying, served=change(self.trying.served))

    def _put(self, name: str, version: str) -> None:
        self._swap(name, self._load(version))

    def _load(self, version: str) -> Served:
        policy = self._trained.get(version)
        if policy is None:
            policy = self._trained[version] = Policy.from_pretrained(self.registry.path(version)).to(self._device)
        return _with_items(version, policy, self._changes.items(), self._changes)

    def _forget(self, kept: set[str]) -> None:
        kept = kept | {served.version for served in self.served.values()}
        self._trained = {version: policy for version, policy in self._trained.items() if version in kept}

    def _swap(self, name: str, served: Served) -> None:
        self.served = {**self.served, name: served}


def policy_folder(run: Path, stage: str = "") -> Path:
    """Of the last stage that finished, or of ``stage``; ``run`` may be a policy folder itself."""
    if (run / "policy.json").is_file():
        return run
    for name in (stage,) if stage else ("ppo", "sft"):
        if (run / name / "done.json").is_file():
            return run / name / "policy"
    policy_of(run, stage)  # says what is missing
    raise InputError(f"{run} holds no policy.")


def _with_items(
    version: str, trained: Policy, added: list[Item], changes: Changes, now: Policy | None = None
) -> Served:
    """``now`` is kept where its catalogue is the same."""
    new = tuple(item for item in added if item.id not in trained.catalog)
    policy = trained
    if now is not None and now.catalog.items == (*trained.catalog.items, *new):
        policy = now
    elif new:
        policy = trained.extended(new)
    policy.catalog.link("")  # what is made at the first use is made before anybody waits for it
    _ = policy.wish.reader
    return Served(version, policy, Shelf(policy.catalog, changes), trained)
