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


@pytest.mark.parametrize("origin", ["https://shop.example.org", "http://localhost:3000", "https://[::1]:8443"])
def test_origins_as_browsers_send_them(origin: str) -> None:
    serving.require_origin(origin)


@pytest.mark.parametrize(
    "origin",
    [
        *("shop.example.org", "*", "null", "", "ftp://shop.example.org", "https://", "https://shop.example.org/"),
        *("https://shop.example.org/page", "https://Shop.example.org", "https://shop.example.org:443"),
        *("https://shop.example.org:99999", "https://me@shop.example.org", "https://[::1", "https://a.org?x=1"),
    ],
)
def test_an_origin_that_no_browser_sends_is_refused_at_the_start(origin: str, tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="fastapi is not installed: pip install 'tacit-rec[serve]'")
    code, out, err = call(str(tmp_path), "--dev", "--origin", origin)
    assert code == 2 and out == "" and f"--origin {origin}: give a site" in err and not (tmp_path / "serve").exists()


def test_a_second_server_on_one_state_folder_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="fastapi is not installed: pip install 'tacit-rec[serve]'")
    fcntl = pytest.importorskip("fcntl")
    state = tmp_path / "state"
    state.mkdir()
    with open(state / serving.SERVING, "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, out, err = call(str(tmp_path), "--dev", "--port", "0", "--state", str(state))
    assert code == 2 and out == "" and f"{state} is in use by" in err and "give another --state" in err


def test_it_says_what_it_loads_before_it_does(tmp_path: Path) -> None:
    pytest.importorskip("fastapi", reason="fastapi is not installed: pip install 'tacit-rec[serve]'")
    code, out, err = call(str(tmp_path), "--dev", "--port", "0", "--beside", str(tmp_path / "other"))
    assert code == 2 and out == ""
    assert err.splitlines()[0] == f"loading the policy of {tmp_path}, and of {tmp_path / 'other'}"
