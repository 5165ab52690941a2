"""Versions of the policy that is served, and which of them is current.

    FOLDER/versions/VERSION/         a policy, copied, with its manifest
    FOLDER/current.json              {"format": 1, "history": ["older", "current"]}

A version is named by the hash of its files: weights, configuration, catalogue. Folder and pointer each take their place
in one step, so that whatever is killed, the registry names one version whose files are whole.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import threading
from pathlib import Path

from tacit.run import manifest
from tacit.run.files import atomic_folder, atomic_write, read_json
from tacit.types import InputError

log = logging.getLogger(__name__)
MOST = 50  # versions of the history that are remembered
_REMEDY = "put it back from a copy, or remove it and register the policy again."


class Registry:
    """Safe to call from any thread. One process at a time should change it."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._lock = threading.RLock()

    def versions(self) -> list[str]:
        """Those registered, whole or not, by name."""
        return sorted(path.name for path in self._versions.glob("*") if not path.name.startswith("."))

    def path(self, version: str) -> Path:
        """The policy folder of a version; ``InputError`` where there is none."""
        path = self._versions / version
        if "/" in version or not (path / "policy.json").is_file():
            raise InputError(f"{self.folder} holds no such version of the policy: see {self._versions}.")
        return path

    def add(self, policy: Path) -> str:
        """Copy a policy folder in, if it is not there; its version. ``InputError`` where its files are damaged."""
        with self._lock:
            manifest.verify(policy)
            version = version_of(policy)
            place = self._versions / version
            if place.is_dir() and not _damage(place, version):
                return version
            with atomic_folder(place) as part:
                shutil.copytree(policy, part, dirs_exist_ok=True)
                if not (part / manifest.FILE).is_file():
                    manifest.seal(part)
            if damage := _damage(place, version):
                raise InputError(damage)  # it was being written to
            return version

    def promote(self, version: str) -> None:
        """From now on current. Its files are read and compared first."""
        with self._lock:
            if damage := _damage(self.path(version), version):
                raise InputError(damage)
            history = self.history()
            if history[-1:] != [version]:
                self._write([*history, version])

    def rollback(self) -> str:
        """Back to the version before the current one, which is whole; the pointer moves in one step."""
        with self._lock:
            history = self.history()[:-1]
            whole = self._whole(history)
            if not whole:
                raise InputError(f"{self.folder} has no version before the current one to go back to.")
            self._write(whole)
            return whole[-1]

    def current(self) -> str | None:
        """The current version; of a damaged one, the last before it that is whole. None: nothing was promoted yet."""
        with self._lock:
            history = self.history()
            whole = self._whole(history)
            if history and not whole:
                raise InputError(f"{self.folder} has no version left that is whole: {_REMEDY}")
            if whole != history:
                log.warning("the current policy's files are damaged: the version before it is served")
            return whole[-1] if whole else None

    def history(self) -> list[str]:
        """Versions as they were promoted, the current one last."""
        path = self.folder / "current.json"
        if not path.is_file():
            return []
        names = read_json(path, _REMEDY).get("history")
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError(f"{path} is damaged, it names no versions: {_REMEDY}")
        return names

    @property
    def _versions(self) -> Path:
        return self.folder / "versions"

    def _whole(self, history: list[str]) -> list[str]:
        """The history up to its last version that is whole."""
        for end in range(len(history), 0, -1):
            if not _damage(self._versions / history[end - 1], history[end - 1]):
                return history[:end]
        return []

    def _write(self, history: list[str]) -> None:
        pointer = {"format": 1, "history": history[-MOST:]}
        atomic_write(self.folder / "current.json", json.dumps(pointer, indent=1) + "\n")


def version_of(policy: Path) -> str:
    """16 hexadecimal digits: of the hashes of all its files."""
    if not (policy / "policy.json").is_file():
        raise InputError(f"{policy} holds no policy (policy.json is missing); give a folder such as RUN/ppo/policy.")
    files = {
        path.relative_to(policy).as_posix(): _digest(path)
        for path in sorted(policy.rglob("*"))
        if path.is_file() and path != policy / manifest.FILE
    }
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damage(place: Path, version: str) -> str:
    """What is wrong with a registered version; "" where it is whole."""
    try:
        manifest.verify(place)
        return "" if version_of(place) == version else f"{place} is not what its name says: {_REMEDY}"
    except (InputError, OSError) as error:
        return str(error)
