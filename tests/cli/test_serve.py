"""``tacit serve``: what it says before it listens."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tacit.cli import serve as serving
from tacit.cli.main import app


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["serve", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_a_token_is_printed_once_and_stored_as_a_hash(tmp_path: Path) -> None:
    code, out, _ = call(str(tmp_path), "--new-token", "shop", "--scope", "chat", "--scope", "users")
    assert code == 0 and out.startswith("tacit-")
    assert out.strip() not in (tmp_path / "serve" / "tokens.json").read_text()
    code, _, err = call(str(tmp_path), "--new-token", "shop")
    assert code == 2 and "choose another name" in err


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "NEEDED", ("no_such_package_here",))
    code, _, err = call(str(tmp_path), "--dev")
    assert code == 2 and "pip install 'tacit-rec[serve]'" in err


def test_a_run_without_a_policy_and_dev_beyond_loopback_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="fastapi is not installed: pip install 'tacit-rec[serve]'")
    code, _, err = call(str(tmp_path), "--dev", "--port", "0")
    assert code == 2 and "no finished sft or ppo stage" in err
    code, _, err = call(str(tmp_path), "--dev", "--host", "0.0.0.0")
    assert code == 2 and "loopback" in err


def test_a_port_that_is_taken_is_said_before_anything_is_loaded(tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="fastapi is not installed: pip install 'tacit-rec[serve]'")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        code, out, err = call(str(tmp_path), "--dev", "--port", port)
    assert code == 2 and out == "" and port in err and "give another --port" in err
    assert not (tmp_path / "serve").exists()
