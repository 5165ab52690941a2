"""The client's process: starts a server, and sends it events over many connections, in one thread, by epoll."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

EVENTS = 5  # in a request
SERVER = Path(__file__).with_name("server.py")


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
        words = [sys.executable, str(SERVER), name, str(sessions)]
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
