"""``tacit transfer``: a finished policy on another catalogue, without retraining, beside what counts there."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tacit.data import fingerprint
from tacit.data.dialogues.sources import load_test, load_training
from tacit.dialogue.evaluate.ranking import EvaluationInputs, run_evaluate
from tacit.dialogue.policy.policy import Policy
from tacit.metrics.markdown import markdown
from tacit.metrics.results import combine, save_rows
from tacit.pipelines.dialogue import load_config
from tacit.run.files import atomic_write, read_json
from tacit.run.manifest import content_hash
from tacit.run.network import quiet_progress_bars
from tacit.run.stages import settle
from tacit.run.terminal import printable
from tacit.types import InputError

MADE = "transfer.json"
# Whether training carries over, whether alignment does, and whether either beats what counts on the spot.
PAIRS = tuple((model, against) for model in ("sft", "ppo", "policy") for against in ("untrained", "popularity"))
PAIRS += (("ppo", "sft"), ("sft", "co-occurrence"), ("ppo", "co-occurrence"), ("untrained", "popularity"))


def transfer(source: Path, config_file: str, overrides: Sequence[str] = ()) -> None:
    """Write runs/, ranks/ and results.json into ``out`` (by default RUN/transfer/DATA); print its standard protocol."""
    quiet_progress_bars()
    folders = policies_of(source)
    config = load_config(config_file, overrides)
    if not any(word.startswith("out=") for word in overrides):
        config.out = str(source / "transfer" / config.data.label)
    settle("cpu", config.threads)
    catalog, split = load_training(config.data)
    test, out = load_test(config.data), Path(config.out)
    made = {
        "policies": {name: content_hash(folder) for name, folder in folders.items()},
        "data": fingerprint.of_training(catalog, split) | fingerprint.of_test(test),
        "seed": config.seed,
        "replies": config.evaluate.replies,
    }
    _require_same(out, made)
    policies = Policy.several(folders.values())
    inputs = EvaluationInputs(
        dataset=config.data.label,
        catalog=catalog,
        split=split,
        test=test,
        policies={name: policy.onto(catalog, out / "texts") for name, policy in zip(folders, policies, strict=True)},
        pairs=PAIRS,
    )
    rows = run_evaluate(inputs, replace(config.evaluate, users=0, map=0), out, config.seed)
    save_rows(out / "results.json", rows)
    standard = [entry for entry in combine([out]) if entry.row.protocol.endswith("standard")]
    print(printable(markdown(standard), layout="\n"), end="")
    print(printable(out))


def policies_of(source: Path) -> dict[str, Path]:
    """Name → folder: the finished sft and ppo of a run, and ``untrained``; of a policy folder that ``policy`` alone."""
    if (source / "policy.json").is_file():
        return {"policy": source}
    stages = {"untrained": "prepare", "sft": "sft", "ppo": "ppo"}
    found = {
        name: source / stage / "policy" for name, stage in stages.items() if (source / stage / "done.json").is_file()
    }
    if not {"sft", "ppo"} & found.keys():
        raise InputError(f"{source} holds no finished sft or ppo stage: run `tacit run CONFIG` first.")
    return found


def _require_same(out: Path, made: dict[str, object]) -> None:
    """What is in ``out`` already was made of these very policies and data, or is refused."""
    if (out / "config.yaml").is_file():
        raise InputError(f"{out} is a run folder, whose results would be lost: give another folder with out=.")
    path = out / MADE
    text = json.dumps(made, indent=1, sort_keys=True)
    if path.is_file() and read_json(path, f"delete {out} to measure anew.") != json.loads(text):
        raise InputError(
            f"{out} was made of other policies, data or settings: give another folder with out=, or delete it."
        )
    out.mkdir(parents=True, exist_ok=True)
    atomic_write(path, text + "\n")
