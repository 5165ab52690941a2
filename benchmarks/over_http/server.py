"""The server's process: set up as `tacit serve` sets it up, less the model. It tells its parent what it commits."""

from __future__ import annotations

import asyncio
import json
import resource
import socket
import sys
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import uvicorn

from tacit.events.keys import Keys
from tacit.events.schema import Exposure, Shown
from tacit.events.store import open_store
from tacit.events.writer import Writer
from tacit.serve.aggregates import Aggregates
from tacit.serve.server import STATIC, http_config
from tacit.serve.settings import Rates, Settings
from tacit.serve.state import State
from tacit.serve.tokens import Tokens, browser_token

HOUR_MS = 3_600_000


def serve(folder: Path, sessions: int) -> None:
    """Open ``sessions`` sessions, tell the client, and serve until the client closes stdin."""

    groups: list[int] = []

    class Counted(Writer):
        def _commit(self, group: list[Any]) -> None:
            groups.append(sum(job.size for job in group))
            super()._commit(group)

    keys = Keys.load(folder / "keys", create=True)
    writer = Counted(open_store(folder / "log.sqlite", create=True), keys)
    many = Rates(token_per_s=1e9, token_burst=1e9, session_per_s=1e9, session_burst=1e9, overall_per_s=1e9,
                 overall_burst=1e9)  # fmt: skip
    live = SimpleNamespace(served={}, items_changed=lambda: False, moved=lambda: False, trying=None)
    forgotten = SimpleNamespace(forget=lambda user: None)
    engine = SimpleNamespace(waiting=0, active=0, close=lambda: None, prefixes=forgotten)
    tokens = Tokens(folder / "tokens.json")
    aggregates = Aggregates(folder / "aggregates.json", writer.now_ms)
    state = State(Settings(page=True, rates=many), cast(Any, live), cast(Any, engine), writer, keys, tokens, aggregates,
                  STATIC)  # fmt: skip
    opened = open_sessions(state, sessions)
    token = state.tokens.make("benchmark", frozenset({"chat"}))
    groups.clear()
    listening = socket.create_server(("127.0.0.1", 0), backlog=4096)
    server = uvicorn.Server(http_config(state, "127.0.0.1", 0))
    say({"port": listening.getsockname()[1], "token": token, "sessions": opened, "rss": rss()})

    async def run() -> None:
        loop = asyncio.get_running_loop()

        def told() -> None:
            line = sys.stdin.readline()
            if line.strip() == "groups":
                say({"groups": list(groups), "rss": rss(), "waiting": writer.waiting})
                groups.clear()
            else:
                server.should_exit = True

        loop.add_reader(sys.stdin, told)
        await server.serve(sockets=[listening])

    with asyncio.Runner(loop_factory=server.config.get_loop_factory()) as runner:
        runner.run(run())


def open_sessions(state: Any, number: int) -> list[list[str]]:
    """(token, exposure, signature) of sessions with one slate each."""

    now_ms, writer, found = state.writer.now_ms(), state.writer, []
    waiting: deque[Any] = deque()
    for k in range(number):
        user, session = f"{k:032x}", f"s{k}"
        shown = Exposure(
            exposure_id=f"x{k}", session_id=session, user=user, turn=0, created_ms=now_ms - HOUR_MS,
            expires_ms=now_ms + 24 * HOUR_MS, policy_version="p", decision="recommend", p_recommend=0.9,
            items=(Shown("a", 1, 0.5), Shown("b", 2, 0.25)),
        )  # fmt: skip
        waiting += [writer.consent(user, "train"), writer.expose(shown)]
        token = browser_token(state.keys, user, session, now_ms + 24 * HOUR_MS)
        found.append([token, shown.exposure_id, state.keys.sign(shown)])
        while len(waiting) > 2_000:
            waiting.popleft().result()
    for future in waiting:
        future.result()
    return found


def say(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)


def rss() -> float:
    """MiB of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
