"""What is served at this moment: policies by name, each with its shelf. A change makes a new snapshot of it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from tacit.dialogue.policy.policy import Policy
from tacit.recommender import policy_of
from tacit.run.files import atomic_write
from tacit.serve.items import Changes, Shelf, read_changes
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
        self.served: dict[str, Served] = {}

    def start(self) -> None:
        """Load what is current; of a new registry, the policy of the run."""
        with self._lock:
            self._changes = self._read_items() or Changes()
            current = self.registry.current()
            if current is None:
                current = self.registry.add(policy_folder(self.run, self.stage))
                self.registry.promote(current)
            self._put(CURRENT, current)
            if self._beside is not None:
                self._put(BESIDE, self.registry.add(policy_folder(self._beside)))

    def reload(self) -> str:
        """Register the run's policy as it is now, and serve it; its version. Turns that are being written end as they
        began."""
        with self._lock:
            version = self.registry.add(policy_folder(self.run, self.stage))
            served = self._load(version)  # before it is current: one that cannot be loaded never is
            self.registry.promote(version)
            self._swap(CURRENT, served)
            return version

    def rollback(self) -> str:
        with self._lock:
            version = self.registry.rollback()
            self._put(CURRENT, version)
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
        for name, served in list(self.served.items()):
            self._swap(name, replace(served, shelf=Shelf(served.policy.catalog, changes)))
        added = changes.items()
        for name, served in list(self.served.items()):
            self._swap(name, _with_items(served.version, served.trained, added, changes, served.policy))

    def _put(self, name: str, version: str) -> None:
        self._swap(name, self._load(version))

    def _load(self, version: str) -> Served:
        policy = Policy.from_pretrained(self.registry.path(version)).to(self._device)
        return _with_items(version, policy, self._changes.items(), self._changes)

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
