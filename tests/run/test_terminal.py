"""What data may not do to a terminal, and what it may."""

from __future__ import annotations

import io
import json
import logging

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from rich.progress import Progress

from tacit.run import progress as progress_module
from tacit.run.progress import Ticker
from tacit.run.terminal import PlainFormatter, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Heat (1995)", "Heat (1995)"),
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("bell\x07 back\x08", "bell\\x07 back\\x08"),
        ("\x9b2J", "\\u009b2J"),
        ("abc\u202edef", "abc\\u202edef"),
        ("one\ntwo\r", "one\\x0atwo\\x0d"),
        ("\ud800", "\\ud800"),
        ("\u2028", "\\u2028"),
        ("Amélie 愛 é 👩‍🚀", "Amélie 愛 é 👩‍🚀"),
        (None, "None"),
    ],
)
def test_by_hand(text: object, shown: str) -> None:
    assert printable(text) == shown


def test_layout_stays_where_it_is_asked_for() -> None:
    assert printable("one\n\ttwo\x1b", layout="\n\t") == "one\n\ttwo\\x1b"
    assert printable("\x1b", layout="\x1b") == "\\x1b"  # nothing but line break and tab can be asked for


@given(st.text())
@settings(derandomize=True, deadline=None)
def test_nothing_a_terminal_obeys_is_left_and_json_keeps_its_value(text: str) -> None:
    shown = printable(text)
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in shown)
    assert json.loads(printable(json.dumps(text, ensure_ascii=False))) == text


def test_log_lines_and_progress_are_plain() -> None:
    record = logging.LogRecord("tacit", logging.INFO, "", 0, "%s\nnext", ("a\x1b]0;title\x07",), None)
    assert PlainFormatter("%(message)s").format(record) == "a\\x1b]0;title\\x07\nnext"
    assert Ticker(2, "run \x1b[2J", None).line(1.0) == "run \\x1b[2J: 0/2 (0%)"


def test_markup_in_a_note_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    columns: list[object] = []
    monkeypatch.setattr(progress_module.sys, "stderr", type("Tty", (io.StringIO,), {"isatty": lambda self: True})())
    monkeypatch.setattr(progress_module, "Progress", lambda *c, **k: columns.extend(c) or Progress(*c, disable=True))
    with progress_module.progress(2, "[bold]x[/bold]") as bar:
        bar.advance(note="[/red]")  # would raise as markup
    with Progress(*columns, console=Console(file=out, force_terminal=False, width=100)) as bars:  # type: ignore[arg-type]
        bars.add_task("[bold]x[/bold]", total=2, note="[/red]")
    assert "[bold]x[/bold]" in out.getvalue() and "[/red]" in out.getvalue()
