from __future__ import annotations

import io
from inspect import signature
from pathlib import Path

import pytest

from tacit.catalog import Catalog
from tacit.cli import chat
from tacit.cli.chat import command
from tacit.cli.commands.chat import chat as chat_command
from tacit.cli.commands.serve import serve as serve_command
from tacit.dialogue.policy.act import READ_TEMPERATURE
from tacit.dialogue.why import ItemWhy, Why
from tacit.recommender import Reply
from tacit.types import Item


class Echo:
    """Says back what it is told; remembers whether it was made to recommend."""

    speaker, catalog = "an echo", Catalog([Item("a", "A", "a film")])

    def __init__(self) -> None:
        self.said: list[tuple[str, bool]] = []
        self.forgot = 0

    def start(self, **_: object) -> Echo:
        return self

    def say(self, text: str, recommend: bool = False) -> Reply:
        self.said.append((text, recommend))
        return Reply("agent", text)

    def why(self) -> Why | None:
        return Why((), (ItemWhy("A", "A: drama", ("it is recommended often",)),)) if self.said else None

    def wishes(self) -> list[str]:
        return [f"wants: {text}" for text, _ in self.said if "please" in text]

    def reset(self) -> None:
        self.forgot += 1


def talk(monkeypatch: pytest.MonkeyPatch, typed: str | bytes, recommend: bool = False) -> Echo:
    echo = Echo()
    monkeypatch.setattr(chat, "load", lambda *_, **__: echo)
    raw = typed if isinstance(typed, bytes) else typed.encode()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(raw), encoding="utf-8"))
    chat.chat(Path("run"), "", 0, False, recommend=recommend)
    return echo


def test_piped_words_are_echoed_and_commands_are_no_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    echo = talk(monkeypatch, "/why\nhi there\n/WHY\n/reset\n/what is it\n")
    out, err = capsys.readouterr()
    assert echo.said == [("hi there", False)] and echo.forgot == 1
    assert out.startswith(
        "you> /why\nNothing has been recommended yet.\nyou> hi there\nagent> hi there\nyou> /WHY\n"
        "understood: no wish in particular\n1. A: drama\n   because it is recommended often\nyou> /reset\nForgotten.\n"
        "you> /what is it\n/what is no command.\n/why"
    )
    assert err.startswith("an echo. ")


def test_why_says_what_was_understood_before_a_slate_and_since() -> None:
    echo = Echo()
    assert command("/why", echo).splitlines() == ["Nothing has been recommended yet."]  # type: ignore[arg-type]
    echo.say("drama please")
    told = command("/why", echo).splitlines()  # type: ignore[arg-type]
    assert told[0] == "understood: no wish in particular" and told[-1] == "understood since then: wants: drama please"
    echo.why = lambda: None  # type: ignore[method-assign]
    assert command("/why", echo).splitlines() == [  # type: ignore[arg-type]
        "Nothing has been recommended yet.",
        "understood: wants: drama please",
    ]
    echo.why = lambda: Why(("wants: drama please",), ())  # type: ignore[method-assign]
    assert command("/why", echo) == "understood: wants: drama please"  # type: ignore[arg-type]


def test_recommend_is_of_every_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    assert talk(monkeypatch, "a\nb", recommend=True).said == [("a", True), ("b", True)]


def test_bytes_that_are_no_text_and_a_bare_slash(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    echo = talk(monkeypatch, b"caf\xe9\n/\n \nnever read\n")
    assert echo.said == [("caf�", False)]
    assert "you> /\n/why" in capsys.readouterr().out


def test_a_command_written_otherwise(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    echo = talk(monkeypatch, "/wy\n/ Reset now\n/ quit\nnever read\n")
    out = capsys.readouterr().out
    assert "/wy is no command. Did you mean /why?" in out and echo.forgot == 1 and not echo.said
    assert not talk(monkeypatch, "exit\nnever read\n").said


def test_help_names_every_command() -> None:
    text = command("/help", Echo())  # type: ignore[arg-type]
    assert all(name in text for name in ("/why", "/reset", "/help"))


def test_the_commands_say_the_temperature_that_is_used() -> None:
    """Commands are declared without loading torch, so they repeat a number of the code behind them."""
    assert signature(chat_command).parameters["temperature"].default == READ_TEMPERATURE
    assert signature(serve_command).parameters["words_temperature"].default == READ_TEMPERATURE
