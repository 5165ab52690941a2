"""The wheel in an environment of its own, outside the checkout: its dependencies, its data files, its commands."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from places import ROOT
from tiny_run import TINY

from tacit.run.version import VERSION

pytestmark = pytest.mark.integration

TORCH = "torch==2.13.0"  # asked for first, as in the Makefile, so that the CPU build is taken where it is at hand
UNREACHED = ("Connection", "Retrying", "timed out", "Could not find a version", "No matching distribution")


def clean() -> dict[str, str]:
    """Nothing of the checkout, and no thread or request too many."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**kept, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def call(*words: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in words], cwd=cwd, env=clean(), capture_output=True, text=True)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment with the wheel and what it asks for."""
    wheels = sorted((ROOT / "dist").glob("*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        pytest.skip("there is no wheel in dist/: run `make build`")
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder / "venv", with_pip=True)
    place = folder / "venv" / ("Scripts" if sys.platform == "win32" else "bin")
    for what in (TORCH, f"{wheels[-1]}[offline]"):
        done = call(place / "python", "-m", "pip", "install", "-q", what, "-c", ROOT / "constraints.txt", cwd=folder)
        if done.returncode and any(word in done.stderr for word in UNREACHED):
            pytest.skip(f"pip cannot get {what} here: {done.stderr.strip().splitlines()[-1]}")
        assert done.returncode == 0, done.stderr
    return place


def test_it_says_its_version_and_helps(installed: Path, tmp_path: Path) -> None:
    said = call(installed / "tacit", "--version", cwd=tmp_path)
    assert (said.returncode, said.stdout) == (0, f"tacit {VERSION}\n"), said.stderr
    assert "tacit demo" in call(installed / "tacit", "--help", cwd=tmp_path).stdout
    where = call(installed / "python", "-c", "import tacit; print(tacit.__file__, tacit.__version__)", cwd=tmp_path)
    assert str(ROOT) not in where.stdout and where.stdout.endswith(f" {VERSION}\n"), where.stdout + where.stderr


def test_the_doctor_finds_the_demo_ready(installed: Path, tmp_path: Path) -> None:
    said = call(installed / "tacit", "doctor", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert "demo.yaml: everything is there" in said.stdout


def test_a_demo_runs_from_it_and_can_be_talked_to(installed: Path, tmp_path: Path) -> None:
    done = call(installed / "tacit", "demo", "out=run", *TINY, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "run/report.html\n"), done.stderr
    assert f"release {VERSION}" in (tmp_path / "run" / "run.json").read_text()
    assert "<html" in (tmp_path / "run" / "report.html").read_text()
    code = "import tacit; print(tacit.load('run').start().say('a comedy, please').text)"
    assert call(installed / "python", "-c", code, cwd=tmp_path).returncode == 0


def test_the_schemas_are_in_it(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "items.jsonl").write_text('{"id": "a", "title": "A"}\n')
    (tmp_path / "d.jsonl").write_text(
        '{"version": 1, "id": "d", "user": "u", "turns": [{"speaker": "user", "text": "hi", "mentions": ["a"]}]}\n'
    )
    done = call(installed / "tacit", "data", "check", "d.jsonl", "--items", "items.jsonl", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    code = (
        "from importlib.resources import files; f = files('tacit') / 'data' / 'schema'; print(len(list(f.iterdir())))"
    )
    listed = call(installed / "python", "-c", code, cwd=tmp_path)
    assert int(listed.stdout) >= 2, listed.stderr
