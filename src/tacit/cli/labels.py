"""``tacit labels``: what was made on stdout, what was left out on stderr."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tacit.catalog import Catalog
from tacit.data.times import Clock
from tacit.data.trainer_forms import Form
from tacit.events.store import open_store
from tacit.labels.build import build
from tacit.labels.constants import Constants
from tacit.labels.engines import Engine, observer, workers
from tacit.labels.forms import write_form
from tacit.labels.log import exported
from tacit.labels.settings import LabelSettings
from tacit.run.config import load
from tacit.types import InputError

if TYPE_CHECKING:
    from tacit.labels.words import Words


def make_labels(
    source: str,
    out: Path,
    overrides: list[str],
    as_of: str | None,
    constants: Path | None,
    engine: Engine,
    items: Path | None,
) -> None:
    settings, then = load(LabelSettings, None, overrides), milliseconds(as_of)
    if constants is not None and overrides:
        raise InputError("--constants holds its own settings: give either it or KEY=VALUE.")
    fitted = Constants.load(constants) if constants is not None else None
    words = _words(source, items, then) if items is not None else None
    with exported(source, out.absolute().parent) as folder, workers(engine) as hired:
        made = build(folder, out, settings, then, fitted, words, observer(engine), hired)
    print(f"{out}: {made.turns:,} turns and {made.items:,} items shown, by {made.label_fn} as of {made.as_of}")
    print(f"skip threshold: {Constants.load(out).skip_remark}", file=sys.stderr)
    for reason, count in made.left_out.items():
        if count:
            print(f"left out: {count:,} turns {reason}", file=sys.stderr)


def _words(source: str, items: Path, as_of: int) -> Words:
    from tacit.labels.words import read_words
    from tacit.text.encoder import PINNED, TextEncoder
    from tacit.text.sentiment import load_sentiment

    if Path(source).is_dir():
        raise InputError("--items reads people's words, which an export does not have: give the log itself.")
    store = open_store(source)
    try:
        return read_words(store, Catalog.load(items), TextEncoder.load(), PINNED, load_sentiment("vader"), as_of)
    finally:
        store.close()


def milliseconds(as_of: str | None) -> int:
    """Of a time as a user writes it; now, where none is given."""
    if as_of is None:
        return int(time.time() * 1000)
    try:
        seconds = Clock().seconds(as_of)
    except ValueError as error:
        raise InputError(f"--as-of {as_of} {error}.") from None
    if seconds is None:
        raise InputError("--as-of is empty: write a date and time like 2026-01-31T12:00:00Z, or leave it out.")
    return int(seconds * 1000)


def export_form(labels: Path, store: str, form: Form, to: Path) -> None:
    left_out = Counter[str]()
    opened = open_store(store)
    try:
        count = write_form(opened, labels, form, to, left_out)
    finally:
        opened.close()
    print(f"{to}: {count:,} rows")
    for reason, number in sorted(left_out.items()):
        print(f"left out: {number:,} {reason}", file=sys.stderr)
