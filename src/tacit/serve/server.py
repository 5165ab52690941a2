"""From a run folder to a server that listens."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from tacit.events.keys import Keys
from tacit.events.store import open_store
from tacit.events.writer import Writer
from tacit.serve.aggregates import Aggregates
from tacit.serve.engine import Engine
from tacit.serve.live import Live
from tacit.serve.registry import Registry
from tacit.serve.settings import Settings
from tacit.serve.state import State
from tacit.serve.tokens import Tokens

if TYPE_CHECKING:
    import uvicorn

STATIC = Path(__file__).parent / "static"


def open_state(
    run: Path,
    folder: Path,
    settings: Settings,
    store: str | Path | None = None,
    stage: str = "",
    beside: Path | None = None,
    device: str = "cpu",
    seed: int | None = None,
) -> State:
    """Everything a server needs, loaded. ``folder`` holds the log, its keys, tokens, registry, and changed items."""
    folder.mkdir(parents=True, exist_ok=True)
    live = Live(run, Registry(folder / "registry"), folder / "items.json", stage, beside, device)
    live.start()
    keys = Keys.load(folder / "keys", create=True)
    writer = Writer(open_store(store or folder / "log.sqlite", create=True), keys)
    return State(
        settings,
        live,
        Engine(settings.engine, seed),
        writer,
        keys,
        Tokens(folder / "tokens.json"),
        Aggregates(folder / "aggregates.json", writer.now_ms),
        STATIC,
    )


def listen(state: State, host: str, port: int) -> None:
    """Until it is told to stop; what was begun is then brought to its end."""
    import uvicorn

    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True  # whatever the host of this process logs
    uvicorn.Server(http_config(state, host, port)).run()


def http_config(state: State, host: str, port: int) -> uvicorn.Config:
    import uvicorn

    from tacit.serve.app import create_app

    return uvicorn.Config(
        create_app(state),
        host=host,
        port=port,
        access_log=False,  # addresses name people
        log_config=None,
        server_header=False,
        date_header=True,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=20,
        backlog=2048,
    )
