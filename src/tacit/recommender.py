"""A trained recommender: the policy of a run, and people who talk to it."""

from __future__ import annotations

from pathlib import Path

from tacit.dialogue.policy.policy import Policy
from tacit.run.network import quiet_progress_bars
from tacit.types import InputError, Turn


def policy_of(folder: Path, stage: str = "") -> Policy:
    """The policy of ``stage``, or of the last stage that finished; ``folder`` may also be a policy folder itself."""
    quiet_progress_bars()
    if (folder / "policy.json").is_file():
        return Policy.from_pretrained(folder)
    if stage not in ("", "sft", "ppo"):
        raise InputError(f"--stage {stage}: choose sft or ppo.")
    for name in (stage,) if stage else ("ppo", "sft"):
        if (folder / name / "done.json").is_file():
            return Policy.from_pretrained(folder / name / "policy")
    raise InputError(f"{folder} holds no finished {stage or 'sft or ppo'} stage: run `tacit run CONFIG` first.")


def user_turn(policy: Policy, text: str) -> Turn:
    """What was typed, with the catalogue titles in it linked."""
    return Turn("user", text, mentions=tuple(dict.fromkeys(item for _, _, item in policy.catalog.link(text))))
