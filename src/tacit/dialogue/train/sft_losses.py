"""What supervised fine-tuning minimises: −log p of the recommender's words, and of the items it recommended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.segments import Pick, Segment
from tacit.text.lm import MOST_LOGITS, over_vocabulary


def losses(policy: Policy, batch: Sequence[Segment], whole: Sequence[Segment] | None = None) -> tuple[Tensor, Tensor]:
    """(mean NLL of the policy's own tokens, mean loss of recommended items), nats.

    A turn that recommends several items counts once: its items share the weight (``slate_loss``). Where ``batch`` is a
    piece of a ``whole`` one, its losses are its part of the whole one's means, so that the pieces add up to them.
    """
    whole = batch if whole is None else whole
    hidden = policy.trunk([segment.tokens for segment in batch])
    rows, places, tokens = own_tokens(batch)
    text = text_loss(policy.lm, hidden[rows, places], torch.tensor(tokens, device=policy.device))
    text = text * (len(tokens) / sum(sum(segment.targets) for segment in whole)) if whole is not batch else text
    picks = [(row, pick) for row, segment in enumerate(batch) for pick in segment.picks]
    if not picks:
        return text, text.new_zeros(())
    states = hidden[[row for row, _ in picks], [pick.position for _, pick in picks]]
    scores = torch.log_softmax(pick_logits(policy, [pick for _, pick in picks], states), dim=-1)
    turns = [pick for segment in whole for pick in segment.picks]
    return text, slate_loss(scores, [pick for _, pick in picks], turns)


def own_tokens(batch: Sequence[Segment]) -> tuple[list[int], list[int], list[int]]:
    """(rows, places of the states before them, tokens) of what the policy itself says."""
    rows, places, tokens = [], [], []
    for row, segment in enumerate(batch):
        for place, own in enumerate(segment.targets):
            if own:
                rows.append(row)
                places.append(place - 1)
                tokens.append(segment.tokens[place])
    return rows, places, tokens


def text_loss(lm: Any, states: Tensor, tokens: Tensor, most_logits: int = MOST_LOGITS) -> Tensor:
    """Mean −log p of tokens [N] after states [N, width], nats; the logits are held piece by piece."""

    def measure(logits: Tensor, part: slice) -> Tensor:
        return nn.functional.cross_entropy(logits, tokens[part], reduction="none")

    return over_vocabulary(lm, states, measure, most_logits).mean()


def slate_loss(log_p: Tensor, picks: Sequence[Pick], whole: Sequence[Pick] | None = None) -> Tensor:
    """−log p of items, mean over the turns that hold some, plus −log(1 − p) of rejected ones, likewise; nats.

    log_p [P, n_items]: a row a turn. The means are over the turns of ``whole``, of which ``picks`` may be a part.

    Unlikelihood (Welleck et al. 2020, arXiv 1908.04319) pushes a rejected item down by as much as the policy would have
    shown it, and leaves alone what it would not show anyway. Apart, neither mean dilutes the other.
    """
    whole = picks if whole is None else whole
    wanted = [log_p[i, list(pick.rows)].mean() for i, pick in enumerate(picks) if pick.rows]
    against = [
        torch.log1p(-log_p[i, list(pick.rejected)].exp().clamp_max(1 - 1e-6)).mean()
        for i, pick in enumerate(picks)
        if pick.rejected
    ]
    counts = (sum(bool(pick.rows) for pick in whole), sum(bool(pick.rejected) for pick in whole))
    terms = [-torch.stack(part).sum() / n for part, n in zip((wanted, against), counts, strict=True) if part]
    return terms[0] if len(terms) == 1 else terms[0] + terms[1]


def pick_logits(policy: Policy, picks: Sequence[Pick], states: Tensor) -> Tensor:
    """[P, n_items], differentiable in the encoder when it trains."""
    contexts = [pick.context for pick in picks]
    texts = [policy.window_text(context) for context in contexts]
    trains = policy.training and any(p.requires_grad for p in policy.encoder.parameters())
    window = policy.encoder(texts) if trains else policy.encoder.encode(texts)
    return policy.ranking_scores(window, states, contexts).float()
