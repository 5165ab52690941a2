"""`tacit data check` beside a bare ``json.loads`` of every line, which checks nothing.

    OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 python benchmarks/data_check.py [FILE...]

Without files two are made, of 24,000 dialogues each and of 6,000 users: chats of eight messages with slates in half of
the agent's turns, once without and once with what a product logs beside them (times, propensities, clicks, dwell).
The check looks up item ids, validates every line, finds growing histories and counts what a run can observe. The two
ways take turns within a round; seconds are the processor's, medians over rounds.
"""

from __future__ import annotations

import contextlib
import io
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tacit.catalog import Catalog
from tacit.cli.data import check_data
from tacit.types import Item

DIALOGUES, USERS, ITEMS, ROUNDS = 24_000, 6_000, 2_000, 5
TEXT = "i would like to see a film with more of the old kind but not too long and maybe one that my mother likes"
WORDS = TEXT.split()


def bare(file: Path) -> None:
    with file.open("rb") as lines:
        for line in lines:
            json.loads(line)


def whole(file: Path) -> None:
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()) as bad:
        assert check_data(file, None) == 0, bad.getvalue()[:200]


def made(file: Path, logged: bool) -> Path:
    draw = random.Random(0)
    with file.open("w", encoding="utf-8") as lines:
        for number in range(DIALOGUES):
            lines.write(json.dumps(_dialogue(draw, number, logged), ensure_ascii=False) + "\n")
    return file


def _dialogue(draw: random.Random, number: int, logged: bool) -> dict[str, Any]:
    turns: list[dict[str, Any]] = []
    now = 1.7e9 + 1000 * number
    for t in range(8):
        text = " ".join(draw.choices(WORDS, k=draw.randint(4, 18)))
        turn: dict[str, Any] = {"speaker": ("user", "agent")[t % 2], "text": text}
        if logged:
            now += draw.randint(3, 40)
            turn["timestamp"] = now
        if t % 4 == 1:
            shown = draw.sample(range(ITEMS), 3)
            turn["slate"] = [{"item": f"i{item}", "position": k} for k, item in enumerate(shown, 1)]
            if logged:
                for card in turn["slate"]:
                    card["propensity"] = round(draw.uniform(0.01, 1), 4)
                turn["feedback"] = {
                    "dwell_s": round(draw.uniform(0, 30), 2),
                    "clicked": [f"i{shown[0]}"],
                    "left": False,
                }
        elif draw.random() < 0.3:
            turn["mentions"] = [f"i{draw.randrange(ITEMS)}"]
        turns.append(turn)
    return {"version": 1, "id": f"d{number}", "user": f"u{draw.randrange(USERS)}", "turns": turns}


def main() -> None:
    files = [Path(name) for name in sys.argv[1:]]
    with tempfile.TemporaryDirectory() as folder:
        if not files:
            Catalog([Item(f"i{k}", f"Film {k} (2001)", f"Film {k}") for k in range(ITEMS)]).save(
                f"{folder}/items.jsonl"
            )
            files = [made(Path(folder) / f"{name}.jsonl", name == "logged") for name in ("chats", "logged")]
        for file in files:
            ways: dict[str, Callable[[Path], None]] = {"json.loads": bare, "data check": whole}
            times: dict[str, list[float]] = {name: [] for name in ways}
            for way in ways.values():
                way(file)
            for _ in range(ROUNDS):
                for name, way in ways.items():
                    start = time.process_time()
                    way(file)
                    times[name].append(time.process_time() - start)
            size = file.stat().st_size / 1e6
            middle = {name: statistics.median(seconds) for name, seconds in times.items()}
            said = ", ".join(f"{name} {seconds:.3f} s ({size / seconds:.1f} MB/s)" for name, seconds in middle.items())
            print(
                f"{file.name}, {size:.1f} MB: {said}; {middle['json.loads'] / middle['data check']:.2f} x", flush=True
            )


if __name__ == "__main__":
    main()
