"""Which reply belongs to which turn: two encoders on frozen embeddings, learnt by contrast from real dialogues.

The score of a reply in a context estimates log p(reply | context) − log p(reply): how much likelier it is here than
anywhere (van den Oord et al., arXiv 1807.03748). Every other reply of a batch is a wrong one, so a few thousand turns
make millions of pairs.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tacit.run.steps import clipped_step

FOLDS = 5  # pairers; each learns from the dialogues outside its own fold
ALIKE = 2.5  # weight of the cosine of a reply and the user's last turn, before anything is learnt


class Pairer(nn.Module):
    """Unit vectors of the user's last turn, the agent's reply before it and a reply → the reply's score."""

    def __init__(self, dim: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.last, self.previous, self.reply = (nn.Linear(dim, width, bias=False) for _ in range(3))
        for layer in (self.last, self.previous):
            nn.init.normal_(layer.weight, std=dim**-0.5, generator=generator)
        nn.init.zeros_(self.reply.weight)  # at first the cosine alone
        self.alike = nn.Parameter(torch.tensor([ALIKE, 0.0]))  # of the last turn, of the previous reply
        self.scale = dim / (2 * width) ** 0.5  # coordinates of spread 1, sums of spread 1

    def forward(self, last: Tensor, previous: Tensor, reply: Tensor) -> Tensor:
        """[B, dim] each → [B]."""
        asked, cosines = self._asked(last, previous)
        scores: Tensor = (asked * self.reply(reply)).sum(-1) * self.scale + (cosines * reply).sum(-1)
        return scores

    def pairs(self, last: Tensor, previous: Tensor, reply: Tensor) -> Tensor:
        """[B, dim] each → [B, B]: every reply (columns) in every context (rows)."""
        asked, cosines = self._asked(last, previous)
        scores: Tensor = (asked @ self.reply(reply).T) * self.scale + cosines @ reply.T
        return scores

    def _asked(self, last: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        return self.last(last) + self.previous(previous), self.alike[0] * last + self.alike[1] * previous


def contrast_loss(scores: Tensor, dialogue: Tensor) -> Tensor:
    """Cross-entropy of the real reply among all and of the real context among all, nats; scores [B, B] with the real
    pairs on the diagonal, ``dialogue`` [B]. Two turns of one dialogue are no wrong pair: a reply may fit both."""
    n = len(scores)
    same = (dialogue[:, None] == dialogue[None]) & ~torch.eye(n, dtype=torch.bool, device=scores.device)
    scores, real = scores.masked_fill(same, -torch.inf), torch.arange(n, device=scores.device)
    return (nn.functional.cross_entropy(scores, real) + nn.functional.cross_entropy(scores.T, real)) / 2


def learn_pairs(
    pairers: Sequence[Pairer],
    texts: tuple[Tensor, Tensor, Tensor],
    dialogue: Tensor,
    epochs: int,
    batch: int,
    lr: float,
    weight_decay: float,
    seed: int,
) -> None:
    """Train each in place. ``texts``: last turns, previous replies and replies of N real turns [N, dim] each, of
    ``dialogue`` [N], numbered from 0; pairer k leaves out the dialogues whose number is k modulo ``len(pairers)``."""
    for k, pairer in enumerate(pairers):
        rows = (dialogue % len(pairers) != k).nonzero()[:, 0]
        optimizer = torch.optim.AdamW(pairer.parameters(), lr=lr, weight_decay=weight_decay)
        generator = torch.Generator().manual_seed(seed * 1000 + 81 + k)
        steps, total = 0, epochs * -(-len(rows) // batch)
        for _ in range(epochs):
            for part in rows[torch.randperm(len(rows), generator=generator).to(rows.device)].split(batch):
                for group in optimizer.param_groups:
                    group["lr"] = lr * (1.0 - steps / total)
                loss = contrast_loss(pairer.pairs(*(text[part] for text in texts)), dialogue[part])
                optimizer.zero_grad()
                loss.backward()
                clipped_step(optimizer, list(pairer.parameters()), 1.0)
                steps += 1
