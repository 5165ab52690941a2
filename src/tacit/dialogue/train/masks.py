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
from tacit.dialogue.train.segments import Pick, Rejected, Segment, segments
from tacit.run.terminal import printable
from tacit.types import Dialogue, InputError, ItemId, Turn

Kind = Literal["context", "decision", "slate", "rejected", "ignored", "given", "reply"]
COLOURS: dict[Kind, str] = {
    "context": "dim",
    "decision": "yellow",
    "slate": "magenta",
    "rejected": "red",
    "ignored": "dim",
    "given": "dim",
    "reply": "green",
}


@dataclass(frozen=True, slots=True)
class TokenWeight:
    """``context``: read only. ``given``: part of the turn, but not drawn (titles, ``<reply>``).

    A slate is one row of the items that SFT learns as wanted, and where the person rejected some, one of those, which
    it learns as unlikely (``rejected``) or leaves out (``ignored``). PPO weighs the slate as it was shown.
    """

    turn: int  # utterance of the merged dialogue
    kind: Kind
    token: str
    sft: float
    ppo: float


def mask_table(
    policy: Policy, dialogue: Dialogue, slate_weight: float, ppo: PPOConfig, rejected: Rejected = "positive"
) -> list[TokenWeight]:
    """Rows in reading order. ``slate_weight`` and ``rejected`` are SFT's. Columns sum to the losses' weights: SFT to
    1 + slate_weight, and slate_weight again for rejected items; PPO to decision_weight + text_weight + slate_weight,
    where the dialogue has such steps."""
    turns, length = dialogue.merged().turns, policy.config.window + 1
    starts = [t for t in range(0, len(turns), length) if any(u.speaker == "agent" for u in turns[t : t + length])]
    rows = [
        row
        for start, segment in zip(starts, segments([dialogue], policy, None, rejected), strict=False)
        for row in _rows(policy, segment, start, turns)
    ]
    if not rows:
        raise InputError(f"dialogue {dialogue.id} has no agent turn, so no token of it is trained on: choose another.")
    counts = {kind: sum(row.kind == kind for row in rows) for kind in COLOURS}
    picks = sum(row.kind == "slate" and row.sft > 0 for row in rows)
    against = sum(row.kind == "rejected" for row in rows)
    token = _share(1.0, counts["decision"] + counts["reply"])
    weights: dict[Kind, tuple[float, float]] = {
        "context": (0.0, 0.0),
        "given": (0.0, 0.0),
        "decision": (token, _share(ppo.decision_weight, counts["decision"])),
        "reply": (token, _share(ppo.text_weight, counts["reply"])),
        "slate": (_share(slate_weight, picks), _share(ppo.slate_weight, counts["slate"])),
        "rejected": (_share(slate_weight, against), 0.0),
        "ignored": (0.0, 0.0),
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
    picks = {pick.position: pick for pick in segment.picks}
    rows: list[TokenWeight] = []
    turn, starts = first - 1, set(segment.starts)
    for place, (token, drawn) in enumerate(zip(segment.tokens, segment.targets, strict=True)):
        turn += place in starts
        said = turn >= first and turns[turn].speaker == "agent"
        inside = max((start for start in starts if start <= place), default=0) + len(layout.agent_open) <= place
        kind: Kind = "given" if said and inside else "context"
        if drawn:
            kind = "decision" if token in (layout.recommend, layout.chat) else "reply"
        rows.append(
            TokenWeight(max(turn, first), kind, str(policy.tokenizer.decode([token])), float(drawn), float(drawn))
        )
        slate = turns[max(turn, 0)].slate
        if drawn and token == layout.recommend and slate:
            rows += _slate_rows(policy, turn, slate.items, picks.get(place))
    return rows


def _slate_rows(policy: Policy, turn: int, items: Sequence[ItemId], pick: Pick | None) -> list[TokenWeight]:
    """Of an opening turn's slate, which SFT does not learn, there is no pick."""
    wanted = set(pick.rows) if pick else set()
    against = set(pick.rejected) if pick else set()
    kinds: dict[Kind, list[str]] = {"slate": [], "rejected": [], "ignored": []}
    for item in items:
        row = policy.catalog.index(item)
        kind: Kind = "slate" if row in wanted or pick is None else "rejected" if row in against else "ignored"
        kinds[kind].append(policy.catalog[item].title)
    rows = [TokenWeight(turn, "slate", _named(f"slate of {len(items)}", kinds["slate"]), float(bool(wanted)), 1.0)]
    if kinds["rejected"]:
        rows.append(TokenWeight(turn, "rejected", _named("as unlikely", kinds["rejected"]), 1.0, 0.0))
    if kinds["ignored"]:
        rows.append(TokenWeight(turn, "ignored", _named("rejected, left out", kinds["ignored"]), 0.0, 0.0))
    return rows


def _named(what: str, titles: Sequence[str]) -> str:
    return f"[{what}: {', '.join(titles) or 'none wanted'}]"


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
