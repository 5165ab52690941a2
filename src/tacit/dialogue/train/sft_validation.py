"""Validation dialogues in supervised fine-tuning: how well a policy ranks and writes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.policy.slate import mask_rows
from tacit.dialogue.train.segments import Pick, Rejected, Segment, segments
from tacit.dialogue.train.sft_losses import losses
from tacit.metrics.ranks import ndcg
from tacit.run.distributed import spread
from tacit.text.sharding import whole_inside
from tacit.types import Dialogue


@torch.no_grad()
def validate(
    policy: Policy, dialogues: Sequence[Dialogue], limit: int, k: int = 10, rejected: Rejected = "positive"
) -> dict[str, float]:
    """NDCG@k of new items on validation turns (named items masked) and the NLL of the agent's tokens."""

    def words(batch: Sequence[Segment]) -> tuple[float, int]:
        own = sum(sum(segment.targets) for segment in batch)
        return float(losses(policy, [Segment(s.tokens, s.targets, ()) for s in batch])[0]) * own, own

    def places(part: Sequence[Pick]) -> list[int]:
        contexts = [pick.context for pick in part]
        mentioned = policy.mentioned(contexts)
        logits = mask_rows(policy.slate_logits(contexts), mentioned)
        wanted = [
            (row, item) for row, pick in enumerate(part) for item in set(pick.rows) - set(mentioned[row].tolist())
        ]
        return [int((logits[row] > logits[row, item]).sum()) + 1 for row, item in wanted]

    pool = segments(dialogues, policy, None, rejected)
    picks = [pick for segment in pool for pick in segment.picks if pick.rows][:limit]
    policy.eval()
    with whole_inside(policy.lm):
        said = list(spread(words, [pool[start : start + 32] for start in range(0, len(pool), 32)]))
        parts = list(spread(places, [picks[start : start + 64] for start in range(0, len(picks), 64)]))
    found = [at for part in parts for at in part]
    scores = {"nll": sum(nll for nll, _ in said) / max(sum(own for _, own in said), 1)}
    return {**scores, f"ndcg@{k}": float(np.mean(ndcg(np.array(found), k)))} if found else scores
