"""What serving costs, each against the obvious alternative, side by side and in turns.

    OMP_NUM_THREADS=1 python benchmarks/serving.py chat RUN [users] [seconds]
    OMP_NUM_THREADS=1 python benchmarks/serving.py prefixes RUN [turns] [rounds] [conversations]
    OMP_NUM_THREADS=1 python benchmarks/serving.py recommend [items] [rounds]

*chat*: a server in a process of its own, over HTTP, streamed; one person at a time and ``users`` at once take turns
of a few seconds each, by the wall clock, since the two share what the machine has left. *prefixes*: conversations with
what the language model has read of them kept, and read anew, CPU seconds. *recommend*: from the state of a turn to a
slate with its exact probabilities, as served, against a bare product of a vector with the item vectors and a top-k.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import torch

from large_catalogs import fresh, widened
from racing import race
from tacit.dialogue.policy.policy import Policy
from tacit.recommender import policy_of
from tacit.serve.prefixes import Prefixes
from tacit.serve.turns import Asked, open_turns
from tacit.slates import Mixture, draw
from tacit.types import Dialogue, Turn

WISHES = ("a funny film", "something from the eighties", "no horror please", "like the first one", "a thriller, then")


@dataclass
class Watched:
    """Turns that ended, the seconds they took together, and those until each turn's first byte and first word."""

    turns: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0  # of the server
    first_byte_s: list[float] = field(default_factory=list)
    first_word_s: list[float] = field(default_factory=list)

    def rate(self) -> float:
        return self.turns / self.seconds


def chat(run: Path, users: int, seconds: float, rounds: int = 5) -> None:
    with serving(run) as (base, token, pid), httpx.Client(base_url=base, timeout=60, trust_env=False) as client:
        client.headers["Authorization"] = f"Bearer {token}"
        client.post("/v1/consent", json={"consent": "train", "user": "warm-up"}).raise_for_status()
        seen = {1: Watched(), users: Watched()}
        asyncio.run(talk(base, token, users, 1.0, Watched()))
        for _ in range(rounds):
            for many, watched in seen.items():
                before = cpu_s(pid)
                asyncio.run(talk(base, token, many, seconds, watched))
                watched.cpu_s += cpu_s(pid) - before
    for many, watched in seen.items():
        byte, word = (1000 * statistics.median(times) for times in (watched.first_byte_s, watched.first_word_s))
        print(f"{many:3d} at once: {watched.rate():7.1f} turns/s ({watched.turns} turns);", end=" ")
        print(f"{1000 * watched.cpu_s / watched.turns:5.1f} ms of the server's CPU a turn;", end=" ")
        print(f"p50 until the first byte {byte:6.1f} ms, until the first word {word:6.1f} ms")
    print(f"{seen[users].rate() / seen[1].rate():.2f} x the turns of one at a time")


@contextmanager
def serving(run: Path) -> Iterator[tuple[str, str, int]]:
    """(address, token, process id) of `tacit serve` in a process of its own, with a state folder of its own."""
    command = [sys.executable, "-m", "tacit.cli.main", "serve", str(run), "--port", "0"]
    with tempfile.TemporaryDirectory() as folder:
        command += ["--state", folder]
        token = subprocess.run([*command, "--new-token", "bench"], capture_output=True, text=True, check=True).stdout
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert server.stdout is not None
        try:
            base = server.stdout.readline().strip().rstrip("/")
            for _ in range(600):
                try:
                    httpx.get(f"{base}/healthz", trust_env=False).raise_for_status()
                    break
                except httpx.HTTPError:
                    time.sleep(0.1)
            yield base, token.strip(), server.pid
        finally:
            server.terminate()
            server.wait(30)


def cpu_s(pid: int) -> float:
    """Of a process with all its threads, on Linux."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def talk(base: str, token: str, users: int, seconds: float, watched: Watched) -> None:
    """``users`` people who each say the next thing as soon as they were answered."""
    headers = {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=base, headers=headers, timeout=60, trust_env=False) as client:
        names = [f"{time.monotonic_ns()}-{k}" for k in range(users)]
        for name in names:
            await client.post("/v1/consent", json={"consent": "train", "user": name})
        start = time.monotonic()
        await asyncio.gather(*(person(client, name, start + seconds, watched) for name in names))
        watched.seconds += time.monotonic() - start


async def person(client: httpx.AsyncClient, name: str, until: float, watched: Watched) -> None:
    messages: list[dict[str, str]] = []
    while time.monotonic() < until:
        if len(messages) >= 2 * len(WISHES):
            messages = []
        messages.append({"role": "user", "content": WISHES[len(messages) // 2]})
        said = await turn(client, {"messages": messages, "stream": True, "user": name}, watched)
        messages.append({"role": "assistant", "content": said})


async def turn(client: httpx.AsyncClient, body: dict[str, object], watched: Watched) -> str:
    start, said = time.monotonic(), ""
    async with client.stream("POST", "/v1/chat/completions", json=body) as response:
        response.raise_for_status()
        watched.first_byte_s.append(time.monotonic() - start)
        async for line in response.aiter_lines():
            if not line.startswith("data: {"):
                continue
            choices = json.loads(line[6:])["choices"]
            word = choices[0]["delta"].get("content", "") if choices else ""
            if word and not said:
                watched.first_word_s.append(time.monotonic() - start)
            said += word
    watched.turns += 1
    return said


def prefixes(run: Path, turns: int, rounds: int, people: int) -> None:
    """Of a few conversations at once: whole turns, and the opening (reading, deciding, drawing) alone."""
    policy = policy_of(run)[0] if (run / "config.yaml").exists() else Policy.from_pretrained(run)
    policy.eval()
    spent = {"kept": [0.0] * turns, "anew": [0.0] * turns}
    opening = {"kept": [0.0] * turns, "anew": [0.0] * turns}
    tokens, spared = [0] * turns, [0] * turns
    for seed in range(rounds + 1):
        held = {"kept": Prefixes(), "anew": None}
        dialogues = [Dialogue(f"{seed}-{k}", "u", ()) for k in range(people)]
        for n in range(turns):
            dialogues = [one.then(Turn("user", WISHES[(n + k) % len(WISHES)])) for k, one in enumerate(dialogues)]
            for way, keeps in held.items():
                policy.encoder.clear_cache()
                start = time.process_time()
                asked = [Asked(one, one) for one in dialogues]
                writing = open_turns(policy, asked, [Mixture(0.02)] * people, np.random.default_rng(seed), keeps)
                answers, opened = list(writing.answers), time.process_time()
                words = torch.Generator().manual_seed(seed)
                while writing.answers:
                    writing.step(words)
                if seed:
                    opening[way][n] += opened - start
                    spent[way][n] += time.process_time() - start
                if way == "kept":
                    shown = answers
            if seed:
                tokens[n] += sum(answer.prompt_tokens for answer in shown)
                spared[n] += sum(answer.spared for answer in shown)
            for answer in shown:
                answer.next_piece()
            said = [Turn("agent", a.said, a.slate.items if a.slate else (), a.slate) for a in shown]
            dialogues = [one.then(turn) for one, turn in zip(dialogues, said, strict=True)]
    for n in range(turns):
        print(
            f"turn {n + 1}: prompt {tokens[n] / rounds / people:6.1f} tokens, {spared[n] / tokens[n]:4.0%} kept;",
            end=" ",
        )
        print(f"opening {opening['kept'][n] / opening['anew'][n]:.2f} x,", end=" ")
        print(f"whole turn {spent['kept'][n] / spent['anew'][n]:.2f} x")
    opened, whole = (sum(of["kept"]) / sum(of["anew"]) for of in (opening, spent))
    print(f"all turns: {sum(spared) / sum(tokens):.0%} kept, opening {opened:.2f} x, whole turn {whole:.2f} x")


def recommend(n: int, rounds: int) -> None:
    """One conversation with a named item and no wish, then with two wishes."""
    torch.manual_seed(0)
    policy, _ = fresh()
    large, chance = widened(policy, n, min(n, 100_000)), np.random.default_rng(0)
    first = large.catalog.items[0]
    plain = Dialogue("d", "u", (Turn("user", f"I liked {first.title}", (first.id,)),))
    wishing = Dialogue("d", "u", (*plain.turns, Turn("user", "a comedy from the nineties")))
    window = large.encoder.encode([large.window_text(plain)])
    state = torch.randn(1, large.lm.config.hidden_size)
    vectors = large.head.item_vectors().detach()
    query = torch.randn(vectors.shape[1])

    def served(dialogue: Dialogue) -> None:
        scores = large.slate_scores(window, state, [dialogue])
        draw(scores.double().cpu().numpy()[0], 5, chance, Mixture(epsilon=0.02))

    with torch.no_grad():
        served(wishing)
        times = race(
            {
                "bare": lambda: (vectors @ query).topk(5),
                "scores": lambda: large.slate_scores(window, state, [plain]),
                "served": lambda: served(plain),
                "with wishes": lambda: served(wishing),
            },
            rounds,
        )
    for name, seconds in times.items():
        print(f"{n:8d} items  {name:12s} {1000 * seconds:8.1f} ms   {seconds / times['bare']:5.2f} x bare")


if __name__ == "__main__":
    what, *given = sys.argv[1:]
    numbers = [int(word) for word in given if word.isdecimal()]
    if what == "recommend":
        recommend(*(numbers or [100_000]), *([] if len(numbers) > 1 else [20]))
    else:
        defaults = (16, 5) if what == "chat" else (8, 5, 4)
        numbers += defaults[len(numbers) :]
        (chat if what == "chat" else prefixes)(Path(given[0]), *numbers)
