"""``tacit serve``: what is printed is where it listens, and nothing that anybody says."""

from __future__ import annotations

import importlib.util
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tacit.run.lock import exclusive
from tacit.run.terminal import printable
from tacit.types import InputError

NEEDED = ("fastapi", "uvicorn", "prometheus_client")
SERVING = ".serving.lock"  # in the state folder, held while a server runs


@dataclass(frozen=True)
class Draws:
    epsilon: float
    temperature: float
    top_k: int
    words_temperature: float
    greedy: bool


@dataclass(frozen=True)
class Place:
    host: str
    port: int
    dev: bool
    page: bool
    origins: tuple[str, ...]


def default_folder(run: Path) -> Path:
    """Beside the stages; of a policy folder, beside it."""
    return run.parent / "serve" if (run / "policy.json").is_file() else run / "serve"


def make_token(folder: Path, name: str, scopes: list[str]) -> None:
    from tacit.serve.tokens import Tokens

    print(Tokens(folder / "tokens.json").make(name, frozenset(scopes)))
    _say("Keep it: it is not shown again, and a server that runs knows it at once.")


def serve(
    run: Path,
    folder: Path,
    store: str | None,
    stage: str,
    beside: Path | None,
    device: str,
    draws: Draws,
    place: Place,
    canary: list[str],
) -> None:
    for name in NEEDED:
        if importlib.util.find_spec(name) is None:
            raise InputError(f"{name} is not installed: pip install 'tacit-rec[serve]'.")
    from tacit.run.config import load
    from tacit.run.network import quiet_progress_bars
    from tacit.serve.canary import CanaryConfig
    from tacit.serve.engine import EngineConfig
    from tacit.serve.server import listen, open_state
    from tacit.serve.settings import Settings

    if place.dev and place.host not in ("127.0.0.1", "localhost", "::1"):
        raise InputError("--dev listens on loopback alone: leave out --host, or --dev.")
    for origin in place.origins:
        require_origin(origin)
    quiet_progress_bars()
    port = free_port(place.host, place.port)
    settings = Settings(
        epsilon=draws.epsilon,
        temperature=draws.temperature,
        top_k=draws.top_k,
        greedy=draws.greedy,
        dev=place.dev,
        page=place.page,
        origins=place.origins,
        engine=EngineConfig(words_temperature=draws.words_temperature),
        canary=load(CanaryConfig, None, canary),
    )
    with exclusive(folder, SERVING, "give another --state."):
        _say(f"loading the policy of {run}{f', and of {beside}' if beside else ''}")
        state = open_state(run, folder, settings, store, stage, beside, device)
        host = f"[{place.host}]" if ":" in place.host else place.host
        print(f"http://{host}:{port}/", flush=True)
        _say("Ctrl-C stops it." if place.dev else f"Tokens: `tacit serve {run} --new-token NAME`. Ctrl-C stops it.")
        listen(state, place.host, port)


def require_origin(text: str) -> None:
    """``InputError`` unless it is an origin as browsers send it (RFC 6454): they are compared letter by letter."""
    try:
        parts = urlsplit(text)
        known = parts.scheme in ("http", "https") and parts.hostname is not None and parts.port != 0
        usual = {"http": 80, "https": 443}.get(parts.scheme) == parts.port
    except ValueError:
        known = usual = False
    if not known or usual or text != f"{parts.scheme}://{parts.netloc.lower()}" or "@" in text or not text.isascii():
        raise InputError(
            f"--origin {text}: give a site as browsers name it, such as https://shop.example.org or "
            "http://localhost:3000: no path, no slash at the end, no usual port, small letters."
        )


def free_port(host: str, port: int = 0) -> int:
    """The port, or one that is free for 0; said before anything is loaded or written where it cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server: a port just left is free
        try:
            probe.bind((host, port))
        except OSError as error:
            raise InputError(
                f"{host}, port {port}, cannot be listened at ({error.strerror}): give another --port, 0 for a free one."
            ) from None
        return int(probe.getsockname()[1])


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)
