"""One dialogue, token by token, with the weight each has in the SFT loss and in the PPO loss.

The weights are read off what trains: SFT's own segments, and the mask of tokens a policy draws. They are those of a
batch that holds this dialogue alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from rich.table import Table
from rich.text import Text

from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.ppo_learner import PPOConfig
from tacit.dialogue.train.segments import Segment, segments
from tacit.run.terminal import printable
from tacit.types import Dialogue, InputError, Turn

Kind = Literal["context", "decision", "slate", "given", "reply"]
COLOURS: dict[Kind, str] = {
    "context": "dim",
    "decision": "yellow",
    "slate": "magenta",
    "given": "dim",
    "reply": "green",
}


@dataclass(frozen=True, slots=True)
class TokenWeight:
    """``context``: read only. ``given``: part of the turn, but not drawn (titles, ``<reply>``). A slate is one row."""

    turn: int  # utterance of the merged dialogue
    kind: Kind
    token: str
    sft: float
    ppo: float


def mask_table(policy: Policy, dialogue: Dialogue, slate_weight: float, ppo: PPOConfig) -> list[TokenWeight]:
    """Rows in reading order. ``slate_weight`` is SFT's. Columns sum to the losses' weights: SFT to 1 + slate_weight,
    PPO to decision_weight + text_weight + slate_weight, where the dialogue has such steps."""
    turns, length = dialogue.merged().turns, policy.config.window + 1
    starts = [t for t in range(0, len(turns), length) if any(u.speaker == "agent" for u in turns[t : t + length])]
    rows = [
        row
        for start, segment in zip(starts, segments([dialogue], policy, None), strict=False)
        for row in _rows(policy, segment, start, turns)
    ]
    if not rows:
        raise InputError(f"dialogue {dialogue.id} has no agent turn, so no token of it is trained on: choose another.")
    counts = {kind: sum(row.kind == kind for row in rows) for kind in COLOURS}
    picks = sum(row.kind == "slate" and row.sft > 0 for row in rows)
    token = _share(1.0, counts["decision"] + counts["reply"])
    weights: dict[Kind, tuple[float, float]] = {
        "context": (0.0, 0.0),
        "given": (0.0, 0.0),
        "decision": (token, _share(ppo.decision_weight, counts["decision"])),
        "reply": (token, _share(ppo.text_weight, counts["reply"])),
        "slate": (_share(slate_weight, picks), _share(ppo.slate_weight, counts["slate"])),
    }
    return [
        TokenWeight(r.turn, r.kind, r.token, weights[r.kind][0] * (r.sft > 0), weights[r.kind][1] * (r.ppo > 0))
        for r in rows
    ]


def _share(weight: float, count: int) -> float:
    return weight / count if count else 0.0


def _rows(policy: Policy, segment: Segment, first: int, turns: Sequence[Turn]) -> list[TokenWeight]:
    """Rows of one segment, whose first utterance is number ``first``: 1 where a loss looks at all, 0 elsewhere."""
    layout = policy.layout
    picks = {pick.position for pick in segment.picks}
    rows: list[TokenWeight] = []
    turn = first - 1
    for place, (token, drawn) in enumerate(zip(segment.tokens, segment.targets, strict=True)):
        turn += token in (layout.user, layout.agent)
        kind: Kind = "given" if turns[turn].speaker == "agent" and token != layout.agent else "context"
        if drawn:
            kind = "decision" if token in (layout.recommend, layout.chat) else "reply"
        rows.append(TokenWeight(turn, kind, str(policy.tokenizer.decode([token])), float(drawn), float(drawn)))
        slate = turns[turn].slate
        if drawn and token == layout.recommend and slate:
            names = f"[slate of {len(slate.items)}: {', '.join(policy.catalog[item].title for item in slate.items)}]"
            rows.append(TokenWeight(turn, "slate", names, float(place in picks), 1.0))
    return rows


def render(rows: Sequence[TokenWeight], title: str = "") -> Table:
    """A table for the terminal. Weights are shown in percent of a batch that is this dialogue alone."""
    table = Table("turn", "part", "token", title=Text(printable(title)) if title else None)
    table.add_column("SFT %", justify="right")
    table.add_column("PPO %", justify="right")
    for row in rows:
        shown = Text(printable(row.token.replace("\n", "⏎")))
        table.add_row(str(row.turn), row.kind, shown, _percent(row.sft), _percent(row.ppo), style=COLOURS[row.kind])
    table.add_section()
    sums = (sum(row.sft for row in rows), sum(row.ppo for row in rows))
    table.add_row("", "", "all", *map(_percent, sums))
    return table


def _percent(weight: float) -> str:
    return f"{100 * weight:.1f}" if weight else "–"
