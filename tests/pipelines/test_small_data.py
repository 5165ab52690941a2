"""Your own logs of a few dialogues, with anything missing: a run ends, or says in one sentence what it lacks."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import tiny
from tiny_run import DEMO, TINY

from tacit.pipelines.dialogue import load_config, run_pipeline
from tacit.types import InputError

NO_SESSIONS = [
    f"reward.logs.{name}=0" for name in ("sessions", "explore_sessions", "popular_sessions", "cheat_sessions")
]
SMALL = [setting for setting in TINY if not setting.startswith("data.limit")]
TEXTS = ("", "hi", "What about this one?", "I like something funny", "no thanks")
FEEDBACK = {"accepted": [True, False], "left": [True, False], "dwell_s": [0, 3.5, 60], "scroll_depth": [0, 0.5, 1]}


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save_encoder(tmp_path_factory.mktemp("encoder"), width=16)


def some(rng: random.Random, items: list[str]) -> list[str]:
    return rng.sample(items, rng.randint(1, min(3, len(items))))


def turn(rng: random.Random, speaker: str, items: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {"speaker": speaker, "text": rng.choice(TEXTS)}
    if rng.random() < 0.7:
        row["mentions"] = some(rng, items)
    if speaker == "agent" and rng.random() < 0.6:
        shown = some(rng, items)
        row["slate"] = [{"item": item, "position": k} for k, item in enumerate(shown, 1)]
        row["feedback"] = {name: rng.choice(values) for name, values in FEEDBACK.items() if rng.random() < 0.4}
        if rng.random() < 0.4:
            row["feedback"]["clicked"] = rng.sample(shown, rng.randint(0, len(shown)))
    return row


def save_logs(folder: Path, seed: int) -> Path:
    """1 to 14 dialogues of 1 to 5 turns about 1 to 14 items."""
    rng = random.Random(seed)
    items = [f"i{k}" for k in range(rng.randint(1, 14))]
    listing = [
        {"id": item, "title": f"Film {item} ({1990 + k})", "text": f"film {item}"} for k, item in enumerate(items)
    ]
    (folder / "items.jsonl").write_text("".join(json.dumps(row) + "\n" for row in listing))
    users, dialogues = rng.randint(1, 6), []
    for k in range(rng.randint(1, 14)):
        speakers = ["user", *rng.choices(("user", "agent"), k=rng.randint(0, 4))]
        row = {"id": f"d{k}", "user": f"u{rng.randrange(users)}", "turns": [turn(rng, who, items) for who in speakers]}
        if rng.random() < 0.3:
            row["judgements"] = {rng.choice(items): {"liked": rng.random() < 0.5}}
        dialogues.append(row)
    (folder / "dialogues.jsonl").write_text("".join(json.dumps(row) + "\n" for row in dialogues))
    return folder / "dialogues.jsonl"


@pytest.mark.parametrize("seed", range(12))
def test_a_run_on_any_few_dialogues_ends_or_says_what_it_lacks(seed: int, encoder: Path, tmp_path: Path) -> None:
    """Every second one learns its reward from the logs alone."""
    place = [f"data.path={save_logs(tmp_path, seed)}", f"policy.encoder={encoder}", f"out={tmp_path / 'run'}"]
    more = ["data.overlap=1", "ppo.iterations=1", *(NO_SESSIONS if seed % 2 else [])]
    config = load_config(DEMO, [*SMALL, "data.name=logs", *place, *more])
    try:
        run_pipeline(config)
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) > 40
        assert "one" in str(error) or "least" in str(error), "the smallest size that works"
    else:
        assert (tmp_path / "run" / "report.html").is_file()
