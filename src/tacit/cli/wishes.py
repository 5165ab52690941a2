"""``tacit wishes``: what is shown against what was wished."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from tacit.catalog import Catalog
from tacit.dialogue.evaluate.wish_lists import SHIPPED, Case, read_cases
from tacit.dialogue.evaluate.wish_templates import generate
from tacit.dialogue.evaluate.wishes import WishRow, score_lists
from tacit.dialogue.policy.policy import Policy
from tacit.recommender import policy_of
from tacit.run.files import atomic_write
from tacit.types import InputError


def wishes(folder: Path, files: Sequence[Path], made: int, seed: int, verify: bool = True) -> Iterator[str]:
    """Markdown lines; the numbers stay in RUN/wishes.json where ``folder`` is a run."""
    policies = _policies(folder, verify)
    policy = next(iter(policies.values()))
    lists, remarks = _lists(files, made, seed, policy.catalog)
    if not lists:
        raise InputError("there is no wish that an item of the catalogue satisfies: give --file, or --made above 0.")
    rows = score_lists(lists, policies, policy.catalog, policy.config.slate_size, seed)
    if not (folder / "policy.json").is_file():
        record = {"seed": seed, "rows": [_as_json(row) for row in rows]}
        atomic_write(folder / "wishes.json", json.dumps(record, indent=1) + "\n")
    yield from table(rows)
    yield from remarks


def _policies(folder: Path, verify: bool) -> dict[str, Policy]:
    """The supervised and the aligned policy, as far as they are there."""
    if (folder / "policy.json").is_file():
        return {"policy": policy_of(folder, verify=verify)}
    done = [stage for stage in ("sft", "ppo") if (folder / stage / "done.json").is_file()]
    if not done:
        return {"policy": policy_of(folder, verify=verify)}  # says what is missing
    return {stage: policy_of(folder, stage, verify) for stage in done}


def _lists(files: Sequence[Path], made: int, seed: int, catalog: Catalog) -> tuple[dict[str, list[Case]], list[str]]:
    """The lists by name, and a remark for each that was left out in part."""
    lists: dict[str, list[Case]] = {}
    remarks: list[str] = []
    for file in files or sorted(SHIPPED.glob("*.jsonl")):
        cases, left_out = read_cases(file, catalog)
        if cases:
            lists[file.stem] = cases
        if left_out:
            remarks.append(f"{file.stem}: {left_out} wishes left out, which no item of this catalogue satisfies.")
    if not files and made and (cases := generate(catalog, made, seed)):
        lists["made from the catalogue"] = cases
    return lists, remarks


def table(rows: Sequence[WishRow]) -> Iterator[str]:
    yield "| wishes | n | shown by | decision | share that satisfies all of the wish [95 %] |"
    yield "|---|---|---|---|---|"
    for row in rows:
        value = row.share
        ends = f" [{value.ends[0]:.1%}, {value.ends[1]:.1%}]" if value.ends else ""
        yield f"| {row.list} | {value.n} | {row.model} | {row.decision or '–'} | {value.value:.1%}{ends} |"


def _as_json(row: WishRow) -> dict[str, object]:
    return {"list": row.list, "model": row.model, "decision": row.decision, **row.share.as_json()}
