"""``tacit data``: bad lines on stdout, summaries on stderr."""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tacit.catalog import Catalog
from tacit.data import item_table
from tacit.data.dialogues.chats.forms import Ways
from tacit.data.dialogues.check import Checked, Problem, check, check_items
from tacit.data.dialogues.convert import CHATS, convert
from tacit.data.dialogues.fingerprints import Fingerprints
from tacit.data.dialogues.logs import items_beside
from tacit.data.dialogues.observed import Observed, estimate
from tacit.data.lines import find
from tacit.run.progress import progress
from tacit.run.terminal import printable
from tacit.types import InputError

PARTS = ("train", "valid", "test")


def check_data(path: Path, items: Path | None) -> int:
    """Print ``FILE:LINE: reason`` for every bad line of a file or folder; returns how many there are."""
    files = _files(path)
    catalog, bad = _items(path, items)
    observed = Observed()
    with Fingerprints() as prints:
        for number, file in enumerate(files):
            bad += _file(file, catalog, prints, observed, number)
        names = [file.name.split(".")[0] for file in files]
        if "test" in names:
            training = tuple(number for number, name in enumerate(names) if name != "test")
            _say(f"{path}: {prints.overlap(training, names.index('test'))}")
        if observed.dialogues:
            users = prints.users()
            recur = f", {observed.dialogues / users:.1f} dialogues each" if users < observed.dialogues else ""
            _say(f"{path}: {observed.dialogues:,} good dialogues of {users:,} users{recur}")
    if observed.dialogues:
        for line in observed.lines():
            _say(f"  {line}")
        _say(f"  {estimate(observed.turns, len(catalog) if catalog else 0)}")
    return bad


def convert_data(
    source: str,
    path: Path,
    out: Path,
    items: Path | None,
    form: str = "",
    columns: Sequence[str] = (),
    scores: Sequence[str] = (),
) -> str:
    """Convert, and say in one or two lines what was written and what was left out."""
    if source != CHATS and form:
        raise InputError(f"--form is for chats: write `tacit data convert {CHATS} ... --form {form}`.")
    dropped: Counter[str] = Counter()
    least = {name: _number(name, number) for name, number in pairs("--score", scores).items()}
    ways = Ways(form, pairs("--map", columns), least)
    written = convert(source, path, out, items, dropped, ways)
    return _summary(f"{out}: " + ", ".join(f"{count} {name}" for name, count in written.items()), dropped)


def convert_items(path: Path, out: Path, columns: Sequence[str], separator: str) -> str:
    dropped: Counter[str] = Counter()
    found = item_table.read(path, pairs("--map", columns), separator, dropped)
    item_table.write(out, found)
    return _summary(f"{out}: {len(found)} items", dropped)


def pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """``NAME=VALUE`` as often as an option was given; a name once."""
    found: dict[str, str] = {}
    for pair in given:
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name and equals and value):
            raise InputError(f"{option} {pair!r}: write NAME=VALUE.")
        if name in found:
            raise InputError(f"{option} gives {name} twice: give it once.")
        found[name] = value
    return found


def _number(name: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"--score {name}={text}: write a number.")
    return number


def _summary(written: str, dropped: Counter[str]) -> str:
    left_out = ", ".join(f"{count} {name}" for name, count in sorted(dropped.items()))
    return printable(f"{written}\nleft out: {left_out}" if left_out else written, layout="\n")


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path}: no such file; give a file with one dialogue a line, or a folder with train.jsonl.")
    files = [file for part in PARTS if (file := find(path, (f"{part}.jsonl",)))]
    if not files:
        names = ", ".join(f"{part}.jsonl" for part in PARTS)
        raise InputError(f"{path} has none of {names}: give a file with one dialogue a line, or a folder with these.")
    return files


def _items(path: Path, items: Path | None) -> tuple[Catalog | None, int]:
    source = items or items_beside(path)
    if source is None:
        _say(f"{path}: no items file beside it, so item ids are not looked up (--items FILE)")
        return None, 0
    if not source.is_file():
        raise InputError(f"items file {source} does not exist: give a JSON-lines file with one item a line.")
    catalog, bad = check_items(source, _printer(source))
    if catalog is None and not bad:
        raise InputError(f"items file {source} is empty: give at least one item, one JSON object a line.")
    _say(f"{source}: {len(catalog) if catalog else 0} good items, {bad} bad")
    return catalog, bad


def _file(file: Path, catalog: Catalog | None, prints: Fingerprints, observed: Observed, number: int) -> int:
    size = file.stat().st_size if file.is_file() else 0
    with progress(size, f"checking {file.name} (bytes)") as bar:
        result = check(file, catalog, _printer(file), bar.advance, prints, observed, number)
    verdict = f"{result.bad} bad" if result.bad else "all good"
    _say(f"{file}: {result.lines} lines, {verdict}, {result.turns} turns in the good ones")
    for line in _suspicions(result):
        _say(f"{file}: {line}")
    return result.bad


def _suspicions(result: Checked) -> list[str]:
    found = []
    if result.contained:
        found.append(
            f"{result.contained} of {result.lines} dialogues are the beginning of another one, or a copy, as in "
            "request logs that carry the whole history in every line: keep the longest of each (`tacit data convert` "
            "does), or a test cut out of this file is known from training"
        )
    if result.thoughts:
        found.append(f"{result.thoughts} agent turns hold a model's thoughts (<think> and the like): they are left out")
    return found


def _printer(file: Path) -> Callable[[Problem], None]:
    return lambda problem: print(printable(f"{file}:{problem.line}: {problem.reason}"))


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr)
