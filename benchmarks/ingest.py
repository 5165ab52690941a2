"""Events into the log over HTTP: how many a second are on disk, and what becomes of many sessions and of too many.

    python benchmarks/ingest.py                       # all three, some two minutes
    python benchmarks/ingest.py --only rate --rounds 5

The server is a process of its own, set up as `tacit serve` sets it up, less the model; this process is the client, on
the machine's other core. **Rate**: keep-alive connections that send 5 events a request, as fast as they are answered.
The server's own commits, by their sizes, are then made again by bare SQLite, rows ready, into a log of the same tables:
the ratio of the two rates is the server's share of what the disk and SQLite allow. Both take turns. **Sessions**:
10,000 browsers' sessions with a connection each. **Overload**: three times the rate, then a third of it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import resource
import select
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

EVENTS = 5  # in a request
HOUR_MS = 3_600_000


# ---- the server's process


def serve(folder: Path, sessions: int) -> None:
    """Open ``sessions`` sessions, tell the client, and serve until the client closes stdin."""
    import uvicorn

    from tacit.events.keys import Keys
    from tacit.events.store import open_store
    from tacit.events.writer import Writer
    from tacit.serve.aggregates import Aggregates
    from tacit.serve.server import STATIC, http_config
    from tacit.serve.settings import Rates, Settings
    from tacit.serve.state import State
    from tacit.serve.tokens import Tokens

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
    from tacit.events.schema import Exposure, Shown
    from tacit.serve.tokens import browser_token

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


# ---- the client's process


@dataclass
class Server:
    process: subprocess.Popen[str]
    folder: Path
    port: int
    token: str
    sessions: list[list[str]]
    rss: float

    def ask(self) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("groups\n")
        self.process.stdin.flush()
        return cast(dict[str, Any], json.loads(self.process.stdout.readline()))

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def server(sessions: int) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="tacit-ingest-") as name:
        words = [sys.executable, __file__, "--serve", name, str(sessions)]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None and process.stdin is not None
            told = json.loads(process.stdout.readline())
            yield Server(process, Path(name), told["port"], told["token"], told["sessions"], told["rss"])
            process.stdin.close()
            process.wait(60)


_numbers = iter(range(10**15))


def request(token: str, exposure: str, signature: str) -> bytes:
    """Five events of a slate: the page's kinds, each under a new id."""
    head = f'"exposure_id":"{exposure}","signature":"{signature}"'
    seq = next(_numbers) * EVENTS
    times = '"idle_ms":0,"hidden_ms":0,"max_ratio":1.0,"censored":true'
    kinds = (
        f'"visible","item_id":"a","visible_ms":1200,{times}',
        f'"visible","item_id":"b","visible_ms":800,{times}',
        '"scroll","scroll_depth":0.5',
        '"click","item_id":"a"',
        '"dwell","visible_ms":4200,"censored":false',
    )
    events = ",".join(
        f'{{"event_id":"0199a3c4-6d02-7aaa-8bbb-{seq + k:012x}",{head},"seq":{(seq + k) % 10_000_000},"kind":{kind}}}'
        for k, kind in enumerate(kinds)
    )
    body = f'{{"events":[{events}]}}'
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode()


@dataclass
class Link:
    """A connection, and the session it speaks for."""

    socket: socket.socket
    who: tuple[str, str, str]
    sent: float = 0.0
    got: bytes = b""
    busy: bool = False
    free_at: float = 0.0  # after a 503: when it may try again


@dataclass
class Tally:
    stored: int = 0  # events that were acknowledged
    shed: int = 0  # requests answered 503 with Retry-After
    failed: int = 0  # anything else
    times: list[float] = field(default_factory=list)

    def quantile(self, share: float) -> float:
        ordered = sorted(self.times)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


class Client:
    """Connections in one thread, by epoll. ``who``: the session of each."""

    def __init__(self, port: int, who: Sequence[tuple[str, str, str]]) -> None:
        self.poll, self.port = select.epoll(), port
        self.links: dict[int, Link] = {}
        for one in who:
            self.add(Link(self.connect(), one))

    def connect(self) -> socket.socket:
        made = socket.create_connection(("127.0.0.1", self.port))
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.setblocking(False)
        return made

    def add(self, link: Link) -> None:
        self.poll.register(link.socket, select.EPOLLIN)
        self.links[link.socket.fileno()] = link

    def close(self) -> None:
        for link in self.links.values():
            link.socket.close()

    def send(self, link: Link) -> None:
        link.sent, link.busy, link.got = time.monotonic(), True, b""
        link.socket.send(request(*link.who))

    def receive(self, tally: Tally, timeout: float) -> list[Link]:
        """Those that were answered."""
        answered = []
        for number, _ in self.poll.poll(timeout):
            link = self.links[number]
            try:
                piece = link.socket.recv(65_536)
            except OSError:
                piece = b""
            if not piece:  # the server closes what is idle for 15 s; one that waits for an answer must not be closed
                tally.failed += link.busy
                self.reopen(number, link)
                answered += [link] * link.busy
                link.busy = False
                continue
            link.got += piece
            head, _, body = link.got.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or b"0")
            if not head or len(body) < length:
                continue
            link.busy = False
            tally.times.append(time.monotonic() - link.sent)
            stored = body.count(b'"accepted"')
            if head.startswith(b"HTTP/1.1 200") and stored == EVENTS:
                tally.stored += stored
            elif head.startswith(b"HTTP/1.1 503") and b"retry-after" in head.lower():
                tally.shed += 1
                link.free_at = time.monotonic() + 1.0
            else:
                tally.failed += 1
            answered.append(link)
        return answered

    def reopen(self, number: int, link: Link) -> None:
        self.poll.unregister(number)
        link.socket.close()
        del self.links[number]
        link.socket = self.connect()
        self.add(link)

    def closed_loop(self, seconds: float) -> Tally:
        """Every connection sends again as soon as it is answered."""
        tally, until = Tally(), time.monotonic() + seconds
        for link in self.links.values():
            self.send(link)
        while time.monotonic() < until:
            for link in self.receive(tally, 0.1):
                self.send(link)
        self.drain(Tally())
        return tally

    def open_loop(self, seconds: float, per_s: float, drain: bool = True) -> Tally:
        """Requests at a steady rate, by whichever connection is free: what waits for an answer sends nothing."""
        tally, start, sent = Tally(), time.monotonic(), 0
        free = deque(link for link in self.links.values() if not link.busy)
        while (now := time.monotonic()) < start + seconds:
            due = int((now - start) * per_s) - sent
            for _ in range(min(due, len(free), 256)):
                link = free.popleft()
                if link.free_at > now:
                    free.append(link)
                    continue
                self.send(link)
                sent += 1
            free.extend(self.receive(tally, 0.0005))
        if drain:
            self.drain(tally)
        return tally

    def drain(self, tally: Tally) -> None:
        until = time.monotonic() + 30
        while any(link.busy for link in self.links.values()) and time.monotonic() < until:
            self.receive(tally, 0.1)
        tally.failed += sum(link.busy for link in self.links.values())


# ---- what is measured


def rate(rounds: int, seconds: float, connections: int) -> float:
    """Print the rates; the median requests a second."""
    rates, bare, shares, work = [], [], [], []
    with server(1_000) as served:
        for turn in range(rounds + 1):
            who = [(served.token, *served.sessions[k % len(served.sessions)][1:]) for k in range(connections)]
            client = Client(served.port, cast(Any, who))
            served.ask()
            cpu, begun = served.cpu_s(), time.process_time()
            tally = client.closed_loop(seconds)
            cpu, mine = served.cpu_s() - cpu, time.process_time() - begun
            client.close()
            assert not tally.failed, tally.failed
            groups = served.ask()["groups"]
            raw = bare_sqlite(served.folder / "raw.sqlite", groups)
            if turn:
                rates.append(tally.stored / seconds)
                bare.append(raw)
                shares.append(rates[-1] / raw)
                work.append((cpu * 1e6 / tally.stored, mine * 1e6 / tally.stored))
                sizes = statistics.median(groups)
                print(
                    f"round {turn}: {rates[-1]:,.0f} events/s over HTTP, bare SQLite {raw:,.0f}, "
                    f"share {shares[-1]:.0%}; "
                    f"{len(groups)} commits, median {sizes:.0f} events; CPU an event: server {work[-1][0]:.0f} us, "
                    f"client {work[-1][1]:.0f} us; p50 {tally.quantile(0.5) * 1e3:.0f} ms, {tally.shed} requests shed",
                    flush=True,
                )
    print(
        f"rate: {statistics.median(rates):,.0f} events/s ({min(rates):,.0f} to {max(rates):,.0f}) in requests of "
        f"{EVENTS}, {connections} connections; bare SQLite {statistics.median(bare):,.0f}; "
        f"share {statistics.median(shares):.0%}; CPU an event: server {statistics.median(w for w, _ in work):.0f} us, "
        f"client {statistics.median(w for _, w in work):.0f} us",
        flush=True,
    )
    return statistics.median(rates) / EVENTS


def bare_sqlite(path: Path, groups: Sequence[int]) -> float:
    """Events a second of the same commits by sqlite3 alone, rows ready."""
    from tacit.events.store import _PRAGMAS, open_store

    open_store(path, create=True).close()
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    record = json.dumps({"seq": 1, "kind": "visible", "item_id": "a", "visible_ms": 1200, "idle_ms": 0, "hidden_ms": 0,
                         "max_ratio": 1.0, "censored": True})  # fmt: skip
    insert = "INSERT INTO events (event_id, exposure_id, user, recv_ms, record) VALUES (?, ?, ?, ?, ?)"
    number, batches = time.time_ns(), []
    for size in groups:
        events = range(number, number + size)
        names = [
            (f"0199a3c4-6d02-7aaa-{k:019x}", f"x{k // EVENTS % 1000}", f"{k // EVENTS % 1000:032x}") for k in events
        ]
        batches.append([(*name, 1_790_000_000_000, record) for name in names])
        number += size
    start = time.monotonic()
    for rows in batches:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, rows)
        connection.execute("COMMIT")
    spent = time.monotonic() - start
    connection.close()
    return sum(groups) / spent


def sessions(number: int, seconds: float, per_s: float) -> None:
    with server(number) as served:
        client = Client(served.port, cast(Any, [tuple(one) for one in served.sessions]))
        tally = client.open_loop(seconds, per_s)
        memory = served.ask()["rss"]
        client.close()
    print(
        f"sessions: {number:,} open, {per_s:,.0f} requests/s for {seconds:.0f} s: {tally.stored:,} events stored, "
        f"{tally.failed} errors, {tally.shed} shed, p50 {tally.quantile(0.5):.3f} s, p99 {tally.quantile(0.99):.3f} s; "
        f"memory {served.rss:.0f} MiB before, {memory:.0f} MiB after",
        flush=True,
    )


def overload(per_s: float, seconds: float, connections: int) -> None:
    with server(connections) as served:
        client = Client(served.port, cast(Any, [tuple(one) for one in served.sessions]))
        calm = client.open_loop(seconds, per_s / 3)
        flood = client.open_loop(seconds, per_s * 3, drain=False)
        memory = served.ask()["rss"]
        print(
            f"overload: calm p99 {calm.quantile(0.99):.3f} s; {3 * per_s:,.0f} requests/s for {seconds:.0f} s: "
            f"{flood.stored / seconds:,.0f} events/s stored, {flood.shed:,} requests shed with Retry-After, "
            f"{flood.failed} errors, p99 {flood.quantile(0.99):.3f} s; memory {served.rss:.0f} MiB before, "
            f"{memory:.0f} MiB after",
            flush=True,
        )
        start = time.monotonic()
        while time.monotonic() - start < 30:
            after = client.open_loop(1.0, per_s / 3, drain=False)
            if not after.shed and not after.failed and after.quantile(0.99) < max(2 * calm.quantile(0.99), 0.25):
                break
        print(f"overload: a third of the rate is served as before within {time.monotonic() - start:.0f} s")
        client.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=["rate", "sessions", "overload"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=128)
    parser.add_argument("--per-s", type=float, default=0.0, help="requests/s for sessions and overload")
    given = parser.parse_args()
    if given.serve:
        serve(Path(given.serve[0]), int(given.serve[1]))
        return
    print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} CPUs")
    per_s = given.per_s
    if given.only in (None, "rate"):
        per_s = per_s or rate(given.rounds, given.seconds, given.connections)
    if given.only in (None, "sessions"):
        sessions(10_000, 4 * given.seconds, (per_s or 1_500) / 2)
    if given.only in (None, "overload"):
        overload(per_s or 1_500, 2 * given.seconds, 8_000)


if __name__ == "__main__":
    main()
