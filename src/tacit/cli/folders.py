"""Finding what a command needs in a run folder."""

from __future__ import annotations

from pathlib import Path

from tacit.recommender import policy_of
from tacit.text.encoder import TextEncoder
from tacit.types import InputError


def require(path: Path, remedy: str) -> Path:
    if not path.exists():
        raise InputError(f"{path} does not exist: {remedy}.")
    return path


def encoder_of(run_folder: Path) -> TextEncoder:
    """The sentence encoder as supervised fine-tuning left it: what the reward model was trained on."""
    return policy_of(run_folder, "sft").encoder
