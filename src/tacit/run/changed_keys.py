"""Settings that have another name today, or are gone: what run folders and config files made before still say.

A key or a value that was renamed is read under its new name wherever it stands. A key that is gone is left out of a run
folder's saved settings where it held what it was by default, for then the run did what runs do today.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tacit.types import InputError


@dataclass(frozen=True)
class Renamed:
    key: str
    now: str = ""  # "" = the key is the same, a value of it has another name
    values: Mapping[object, object] = field(default_factory=dict)  # old → new


@dataclass(frozen=True)
class Gone:
    key: str
    default: object
    why: str


@dataclass(frozen=True)
class GoneValues:
    """The key is still there; these values of it are not."""

    key: str
    values: tuple[object, ...]
    why: str


CHANGES: tuple[Renamed | Gone | GoneValues, ...] = (
    # conversations
    Gone("policy.repeat_items", False, "a slate shows what the dialogue has not named"),
    Gone("sft.residual_decay", 0.0, "the items' residuals are not decayed"),
    Gone("sft.calibrate", False, "what it gained on validation it lost on the test"),
    Gone("signals.weights", "fixed", "the weights of the signals are alpha, beta and gamma"),
    Gone("signals.outcome", "auto", "the weights of the signals are alpha, beta and gamma"),
    Gone("ppo.entropy_weight", 0.0, "no run was made with it"),
    Gone("ppo.mask_unfinished", False, "no run was made with it"),
    GoneValues("ppo.reward_norm", ("none",), "no run was made with it"),
    Renamed("ppo.sft_weight", now="ppo.sft_kl_weight"),  # what held PPO to SFT was its loss, and is the way from it
    Gone("grades.again", 0.0, "on ReDial nothing was learnt from it"),
    Gone("grades.sentiment", 0.0, "on ReDial nothing was learnt from it"),
    # rerankers
    Renamed("lists.variant", values={"literal": "kar_lists"}),
    GoneValues("knowledge.mode", ("factors",), "texts are no longer read factor by factor"),
    Renamed("knowledge.mode", values={"literal": "kar_input"}),
    Gone("knowledge.axes", "collaborative", "texts are read along the axes of the ratings alone"),
    Renamed("align.judge", now="align.preference_source"),
    Gone("align.judged_users", 0, "a writer learns about the users who gave the feedback"),
    GoneValues("align.pairs", ("length_matched",), "pairs are no longer matched in length"),
    Gone("align.dpo.anchor", 1.0, "DPO with the chosen text's likelihood was never above DPO"),
    Gone("align.dpo.negatives", 3, "softmax DPO was never above DPO"),
    GoneValues("align.dpo.objective", ("dpo_sft", "softmax_dpo"), "it was never above DPO"),
    Gone("align.ppo.read", "greedy", "a tuned writer's likeliest texts are read"),
)


def current(values: Mapping[str, Any], origin: str, saved: bool) -> dict[str, Any]:
    """The settings ``values``, nested by section, under today's names.

    ``InputError`` where what they ask for is gone; ``saved``: they are a run folder's, so that every key stands there,
    also one that nobody set.
    """
    renewed = copy.deepcopy(dict(values))
    for change in CHANGES:
        section, name = _section(renewed, change.key)
        if name not in section:
            continue
        match change:
            case Renamed():
                _rename(renewed, change, origin)
            case Gone():
                value = section.pop(name)
                if not saved:
                    raise InputError(f"{origin}: '{change.key}' is gone ({change.why}): leave it out.")
                if value != change.default:
                    raise InputError(_too_old(origin, change.key, value, change.why))
            case GoneValues() if section[name] in change.values:
                if not saved:
                    raise InputError(
                        f"{origin}: '{change.key}' can no longer be {section[name]!r} ({change.why}): choose another."
                    )
                raise InputError(_too_old(origin, change.key, section[name], change.why))
    return renewed


def _rename(values: dict[str, Any], change: Renamed, origin: str) -> None:
    section, name = _section(values, change.key)
    value = section[name]
    if isinstance(value, str) and value in change.values:
        value = change.values[value]
    if not change.now:
        section[name] = value
        return
    del section[name]
    section, name = _section(values, change.now)
    if name in section:
        raise InputError(f"{origin}: '{change.key}' is now '{change.now}', which is there too: leave the first out.")
    section[name] = value


def _section(values: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """The section that a dotted key stands in (an empty one where it is not there), and the key's last name."""
    *sections, name = key.split(".")
    found: Any = values
    for part in sections:
        found = found.get(part) if isinstance(found, dict) else None
    return (found if isinstance(found, dict) else {}), name


def _too_old(origin: str, key: str, value: object, why: str) -> str:
    return (
        f"{origin}: this run was made with {key}={value}, which is gone ({why}): open it with the version that made it "
        "(run.json names the commit)."
    )
