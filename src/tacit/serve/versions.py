"""Copies of policies, each in a folder named by the hash of its files."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from tacit.run import manifest
from tacit.run.files import atomic_folder
from tacit.serve.pointer import REMEDY
from tacit.types import InputError


class Versions:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """Those that are there, whole or not."""
        return sorted(path.name for path in self.folder.glob("*") if not path.name.startswith("."))

    def path(self, version: str) -> Path:
        """Of one that is there; else ``InputError``."""
        path = self.folder / version
        if "/" in version or not (path / "policy.json").is_file():
            raise InputError(f"{self.folder} holds no such version of the policy: see {self.folder}.")
        return path

    def add(self, policy: Path) -> str:
        """Copy a policy folder in, if it is not there; its version. ``InputError`` where its files are damaged."""
        manifest.verify(policy, "restore the folder from a copy, or make the policy again.")
        version = version_of(policy)
        place = self.folder / version
        if place.is_dir() and not self.damage(version):
            return version
        with atomic_folder(place) as part:
            shutil.copytree(policy, part, dirs_exist_ok=True)
            if not (part / manifest.FILE).is_file():
                manifest.seal(part)
        self.require_whole(version)  # it may have been written to meanwhile
        return version

    def damage(self, version: str) -> str:
        """What is wrong with a version's files; "" where they are whole."""
        place = self.folder / version
        try:
            manifest.verify(place, REMEDY)
            return "" if version_of(place) == version else f"{place} is not what its name says: {REMEDY}"
        except (InputError, OSError) as error:
            return str(error)

    def require_whole(self, version: str) -> None:
        self.path(version)
        if wrong := self.damage(version):
            raise InputError(wrong)

    def whole(self, history: Sequence[str]) -> tuple[str, ...]:
        """A history up to its last version that is whole."""
        for end in range(len(history), 0, -1):
            if not self.damage(history[end - 1]):
                return tuple(history[:end])
        return ()


def version_of(policy: Path) -> str:
    """16 hexadecimal digits: of the hashes of all its files."""
    if not (policy / "policy.json").is_file():
        raise InputError(f"{policy} holds no policy (policy.json is missing); give a folder such as RUN/ppo/policy.")
    return manifest.content_hash(policy)[:16]
