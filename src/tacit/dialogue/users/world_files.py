"""The files of a ``UserWorld``: world.json, taste.safetensors, and language.safetensors of the sense of language."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from tacit.catalog import Catalog
from tacit.dialogue.users.language import LanguageSense
from tacit.dialogue.users.taste import Taste
from tacit.run.files import atomic_write
from tacit.run.manifest import seal, verify
from tacit.types import InputError

ARRAYS = ("items", "seekers", "liked_start", "liked_rows", "quality", "popularity")
FORM = "tacit-users-2"
DEAF_FORM = "tacit-users-1"  # users of before, who hear no words: they stay as they were


def write(folder: Path, catalog: Catalog, state: Mapping[str, Any], taste: Taste, sense: LanguageSense | None) -> None:
    """``state``: everything that is JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: getattr(taste, name) for name in ARRAYS}, str(folder / "taste.safetensors"))
    if sense is not None:
        save_file(sense.arrays(), str(folder / "language.safetensors"))
    language = None if sense is None else sense.to_json()
    whole = {"form": FORM, "catalog": catalog.fingerprint(), **state, "language": language}
    atomic_write(folder / "world.json", json.dumps(whole, indent=1))
    seal(folder)


def read_state(folder: Path) -> dict[str, Any]:
    """What ``write`` was given as ``state``, and the form; every file is what was saved."""
    path = folder / "world.json"
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: fit the simulated users first.") from None
    except ValueError as error:
        raise InputError(f"{path} is damaged ({error}): fit the simulated users again.") from None
    if not isinstance(state, dict) or state.get("form") not in (FORM, DEAF_FORM):
        raise InputError(f"{path} is not in the form {FORM}: fit the simulated users again.")
    verify(folder)
    return state


def hears(state: Mapping[str, Any]) -> bool:
    """Whether these users were made to hear what is said."""
    return bool(state["form"] != DEAF_FORM)


def read_models(folder: Path, state: Mapping[str, Any], catalog: Catalog) -> tuple[Taste, LanguageSense | None]:
    if state["catalog"] != catalog.fingerprint():
        raise InputError(f"{folder} was fitted on another catalogue: fit the simulated users again.")
    arrays = _arrays(folder / "taste.safetensors")
    taste = Taste(**{name: arrays[name] for name in ARRAYS})
    language = state["language"] if hears(state) else None
    if language is None:
        return taste, None
    return taste, LanguageSense.from_parts(language, _arrays(folder / "language.safetensors"), catalog)


def _arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        return dict(load_file(str(path)))
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path} cannot be read ({error}): fit the users again.") from None
