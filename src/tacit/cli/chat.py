"""``tacit chat``: a person takes the user's place."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from tacit.catalog import Catalog
from tacit.dialogue.policy.act import READ_TEMPERATURE
from tacit.recommender import Chat, Reply, load
from tacit.run.terminal import printable

HELP = """/why    why these items: what was understood, what speaks for each, and its facts
/reset  forget what was said
/quit   end, as an empty line does
/help   this"""
COMMANDS = ("/why", "/reset", "/quit", "/exit", "/help")


def chat(
    folder: Path,
    stage: str,
    seed: int,
    greedy: bool,
    items: Path | None = None,
    verify: bool = True,
    recommend: bool = False,
    temperature: float = READ_TEMPERATURE,
) -> None:
    recommender = load(folder, stage=stage, verify=verify)
    if items is not None:
        recommender = recommender.extended(Catalog.load(items).items)
    conversation = recommender.start(seed=seed, greedy=greedy, temperature=temperature)
    print(f"{printable(recommender.speaker)}. An empty line ends; /help lists commands.", file=sys.stderr)
    for text in _lines():
        if text.replace(" ", "").lower() in ("/quit", "/exit", "quit", "exit"):
            return
        if text.startswith("/"):
            print(command(text, conversation), flush=True)
        else:
            print(shown(conversation.say(text, recommend=recommend)), flush=True)


def command(text: str, conversation: Chat) -> str:
    """What a line that begins with a slash is answered; it is no part of the conversation."""
    match "/" + "".join(text[1:].split()[:1]).lower():
        case "/why":
            return "\n".join(map(printable, _explained(conversation)))
        case "/reset":
            conversation.reset()
            return "Forgotten."
        case "/help" | "/":
            return HELP
        case other:
            near = get_close_matches(other, COMMANDS, n=1, cutoff=0.75)
            meant = f" Did you mean {near[0]}?" if near else ""
            return f"{printable(other)} is no command.{meant}\n{HELP}"


def _explained(conversation: Chat) -> list[str]:
    """Why the last slate was shown, and what was understood that it could not know of."""
    reasons, wishes = conversation.why(), conversation.wishes()
    if reasons is None:
        return ["Nothing has been recommended yet.", *([f"understood: {'; '.join(wishes)}"] if wishes else [])]
    since = [line for line in wishes if line not in reasons.wishes]
    return [*reasons.lines(), *([f"understood since then: {'; '.join(since)}"] if since else [])]


def shown(reply: Reply) -> str:
    """The reply, and the slate below it, best first: what a terminal would obey is escaped."""
    titles = (f"  {k}. {printable(title)}" for k, title in enumerate(reply.titles, 1))
    return "\n".join([f"agent> {printable(reply.text)}", *titles])


def _lines() -> Iterator[str]:
    """What is typed; what comes through a pipe is echoed, so that the output reads as a conversation."""
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # bytes that are no text end no conversation
    typed = sys.stdin.isatty()
    while True:
        if typed:
            print("you> ", end="", file=sys.stderr, flush=True)
        line = sys.stdin.readline().strip()
        if not line:
            return
        if not typed:
            print(f"you> {printable(line)}", flush=True)
        yield line
