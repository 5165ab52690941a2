"""How a writer's tuning went, round by round: curves of DPO's pairs, or of PPO's reward and what stands behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from tacit.report import figures, page
from tacit.report.figures import FIRST, SECOND, Line, Panel
from tacit.run.folder import MetricLog

PPO: Mapping[str, str] = {
    "reward": "Reward",
    "channel_likelihood": "Feedback: likelihood, nats",
    "channel_ndcg": "Feedback: NDCG@5",
    "reward_std": "Spread of the reward within users",
    "kl_ref": "KL to the first writer, nats a text",
    "words": "Words, titles as numbers",
}
DPO: Mapping[str, str] = {
    "loss": "Loss",
    "pair_accuracy": "Pairs in the right order",
    "logprob_chosen": "Chosen texts, log-prob.",
}
_PPO_CAPTION = (
    "A batch of users is written about, scored and learnt from, one after the other; every batch is of other users, so "
    "the curves jump. The reward is what PPO maximises. The feedback is that of rerankers that never saw the user, on "
    "the user's own lists: where it does not follow the reward, the writer pleases a reward model alone."
)
_DPO_CAPTION = (
    "Pairs in the right order count before a step learns from them: what lies above one half in the first pass carries "
    "over to other users, what is gained in later passes may be learnt by heart."
)


def tuning(folder: Path) -> str:
    parts = []
    for log in sorted(folder.glob("align/round*/tune/metrics.jsonl")):
        rows, name = MetricLog(log).rows(), log.parent.parent.name
        of, caption = (PPO, _PPO_CAPTION) if rows and "reward" in rows[0] else (DPO, _DPO_CAPTION)
        panels = _panels(rows, of)
        if panels:
            title = escape(name.replace("round", "Round "))
            parts.append(page.figure(figures.curves(panels, f"tuning-{name}", xlabel=""), f"{title}. {caption}"))
    return "".join(parts) or page.missing(
        "No writer was tuned.", "Set `align.rounds`, and `align.method=dpo` or `ppo`."
    )


def _panels(rows: Sequence[Mapping[str, Any]], of: Mapping[str, str]) -> list[Panel]:
    """One a measure that the log has. PPO's reward is the likelihood or NDCG itself where no model judges."""
    panels: list[Panel] = []
    for key, title in of.items():
        known = [(float(row["step"]), float(row[key])) for row in rows if row.get(key) is not None]
        if known:
            x, y = zip(*known, strict=True)
            shade = SECOND if key.startswith("channel_") else FIRST
            panels.append(Panel(title, [Line(title, list(x), list(y), shade)]))
    return panels
