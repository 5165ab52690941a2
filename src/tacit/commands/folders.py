"""Finding what a command needs in a run folder."""

from __future__ import annotations

from pathlib import Path

from tacit.models.encoder import TextEncoder
from tacit.models.policy import Policy
from tacit.network import hush
from tacit.types import InputError


def require(path: Path, remedy: str) -> Path:
    if not path.exists():
        raise InputError(f"{path} does not exist: {remedy}.")
    return path


def policy_of(folder: Path, stage: str = "") -> Policy:
    """The policy of ``stage``, or of the last stage that finished; ``folder`` may also be a policy folder itself."""
    hush()
    if (folder / "policy.json").is_file():
        return Policy.from_pretrained(folder)
    if stage not in ("", "sft", "ppo"):
        raise InputError(f"--stage {stage}: choose sft or ppo.")
    for name in (stage,) if stage else ("ppo", "sft"):
        if (folder / name / "done.json").is_file():
            return Policy.from_pretrained(folder / name / "policy")
    raise InputError(f"{folder} holds no finished {stage or 'sft or ppo'} stage: run `tacit run CONFIG` first.")


def encoder_of(run_folder: Path) -> TextEncoder:
    """The sentence encoder as supervised fine-tuning left it: what the reward model was trained on."""
    return policy_of(run_folder, "sft").encoder
