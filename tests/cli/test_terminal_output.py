"""On a terminal, words from data are words: escape sequences, direction marks and rich's markup do nothing."""

from __future__ import annotations

import io
import json
import logging
import unicodedata
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from tacit.catalog import Catalog
from tacit.cli import chat, score
from tacit.cli.chat import shown
from tacit.cli.data import check_data, convert_data
from tacit.cli.main import app, start
from tacit.dialogue.train.masks import TokenWeight, render
from tacit.dialogue.why import ItemWhy, Why
from tacit.recommender import Reply, TurnScore
from tacit.types import Dialogue, InputError, Item

EVIL = {
    "colour": "\x1b[31mred\x1b[0m",
    "title of the window": "\x1b]0;owned\x07",
    "link": "\x1b]8;;http://example.org\x1b\\here\x1b]8;;\x1b\\",
    "C1": "\x9b2J\x9d0;owned\x9c",
    "cursor": "a\rb\x08c",
    "direction": "abc\u202edef\u2066ghi\u200f",
    "markup": "[red]red[/] [/] [link=http://example.org]x[/link] :smile:",
}


def harmless(text: str) -> bool:
    """Nothing that a terminal obeys but line breaks."""
    marks = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    return not any((unicodedata.category(c) == "Cc" and c != "\n") or c in marks for c in text)


@dataclass
class Talker:
    """A recommender that says what it is given."""

    words: str
    catalog: Catalog = field(default_factory=lambda: Catalog((Item("a", "A", "a film"),)))

    @property
    def speaker(self) -> str:
        return self.words

    def start(self, **_: object) -> Talker:
        return self

    def say(self, text: str, recommend: bool = False) -> Reply:
        return Reply("agent", self.words, titles=(self.words,))

    def why(self) -> Why:
        return Why((self.words,), (ItemWhy(self.words, self.words, (self.words,)),))

    def wishes(self) -> list[str]:
        return [self.words]

    def reset(self) -> None:
        pass


@pytest.mark.parametrize("name", EVIL)
def test_chat(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(chat, "load", lambda *_, **__: Talker(EVIL[name]))
    monkeypatch.setattr("sys.stdin", io.StringIO("hello\n/why\n\n"))
    chat.chat(Path("run"), "", 0, False)
    out, err = capsys.readouterr()
    assert harmless(out) and harmless(err) and out.count("\n") == 7
    if name == "markup":
        assert out.startswith(
            f"you> hello\nagent> {EVIL[name]}\n  1. {EVIL[name]}\nyou> /why\nunderstood: {EVIL[name]}"
        )


@pytest.mark.parametrize("name", EVIL)
def test_score_prints_the_same_json(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Judge:
        people = None

        def read(self, _: object) -> list[Dialogue]:
            return [Dialogue("d", "u", ())]

        def score(self, _: object) -> list[TurnScore]:
            return [TurnScore(EVIL[name], 1, 0.5, {"engagement": 1.0})]

    monkeypatch.setattr(score, "load_reward", lambda *_, **__: Judge())
    score.score(Path("run"), Path("file"))
    out = capsys.readouterr().out
    assert harmless(out)
    assert json.loads(out) == {"dialogue": EVIL[name], "turn": 1, "reward": 0.5, "engagement": 1.0}


@pytest.mark.parametrize("name", EVIL)
def test_inspect_mask(name: str) -> None:
    out = io.StringIO()
    table = render([TokenWeight(0, "reply", EVIL[name], 0.5, 0.5)], f"dialogue {EVIL[name]}: weight")
    Console(file=out, width=200, force_terminal=False).print(table)
    assert harmless(out.getvalue())
    if name == "markup":
        assert out.getvalue().count(EVIL[name]) == 2


@pytest.mark.parametrize("name", EVIL)
def test_data_check_and_convert(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turn = {"speaker": "user", "text": EVIL[name], "mentions": [EVIL[name]]}
    line = {"version": 1, "id": EVIL[name], "user": EVIL[name], "turns": [turn], EVIL[name]: 1}
    (tmp_path / "train.jsonl").write_text(json.dumps(line) + "\n" + json.dumps({**line, "id": 3}) + "\n")
    (tmp_path / "items.jsonl").write_text(json.dumps({"id": "a", "title": EVIL[name]}) + "\n")
    assert check_data(tmp_path, None) == 2
    out, err = capsys.readouterr()
    assert harmless(out) and harmless(err) and out.count("\n") == 2
    with pytest.raises(InputError):
        convert_data(EVIL[name], tmp_path, tmp_path / "out", None)


@pytest.mark.parametrize("name", EVIL)
def test_errors(name: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(json.dumps({"data": {EVIL[name]: 1}}))
    for words in (
        ["run", str(tmp_path / "c.yaml")],
        ["run", EVIL[name].replace("=", "")],
        ["data", "get", EVIL[name], "f"],
    ):
        result = CliRunner().invoke(app, words)
        assert result.exit_code == 2 and harmless(result.stderr) and result.stderr.count("\n") == 1, result.stderr


@pytest.mark.parametrize("name", EVIL)
def test_log_lines(name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    monkeypatch.setattr(logging.root, "level", logging.root.level)
    monkeypatch.setattr(logging.getLogger("tacit"), "level", logging.INFO)
    start()
    logging.getLogger("tacit").info("reading %s", EVIL[name])
    err = capsys.readouterr().err
    assert harmless(err) and err.startswith("reading ")
    if name == "markup":
        assert err == f"reading {EVIL[name]}\n"


def test_the_reply_as_it_is_shown() -> None:
    reply: Any = Reply("agent", "Try \x1b[1mthese", titles=("One\n2. Two", "Three"))
    assert shown(reply) == "agent> Try \\x1b[1mthese\n  1. One\\x0a2. Two\n  2. Three"
