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
import json
import os
import sqlite3
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from over_http.client import EVENTS, Client, server
from tacit.events.store import _PRAGMAS, open_store


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
    parser.add_argument("--only", choices=["rate", "sessions", "overload"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--connections", type=int, default=128)
    parser.add_argument("--per-s", type=float, default=0.0, help="requests/s for sessions and overload")
    given = parser.parse_args()
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
