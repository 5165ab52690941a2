"""What `tacit ope` reads: the exposures of people kept apart, under the policy that logged and under the candidate."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import torch

from tacit.dialogue.policy.policy import Policy
from tacit.dialogue.train.head_on_log import Context, HeadOnLog
from tacit.dialogue.train.logged_slates import Logged
from tacit.events.schema import Exposure
from tacit.pipelines.learn.exposures import Known, tensors
from tacit.run.files import write_parquet

CHUNK = 256


def write_evidence(
    path: Path,
    policy: Policy,
    version: str,
    exposures: Sequence[Exposure],
    contexts: Sequence[Context],
    known: Known,
) -> int:
    """A row an item shown, in the columns of `tacit ope`; how many exposures. Decisions are the logging policy's.

    ``version`` of the candidate: what the gate asks the report for. Without exposures there is nothing to write.
    """
    if not exposures:
        return 0
    logged = tensors(exposures, known, policy.catalog)
    rows = table(exposures, logged, _targets(policy, contexts, logged))
    write_parquet(path, rows.with_columns(target_version=pl.lit(version)))
    return len(exposures)


@torch.no_grad()
def _targets(policy: Policy, contexts: Sequence[Context], logged: Logged) -> torch.Tensor:
    """P(item | items before) under the candidate, as each was served: [N, K]."""
    head = HeadOnLog(policy, contexts)
    parts = [logged.rows(rows).factors(head.logits(rows)) for rows in torch.arange(len(logged)).split(CHUNK)]
    return torch.cat(parts).exp()


def table(exposures: Sequence[Exposure], logged: Logged, targets: torch.Tensor) -> pl.DataFrame:
    """People and sessions are numbered: who they are is of no use to an estimate, and need not be deleted from it."""
    people, sessions, rows = dict[str, int](), dict[str, int](), []
    for n, exposure in enumerate(exposures):
        for k, shown in enumerate(exposure.items):
            rows.append({
                "round": exposure.exposure_id,
                "place": k + 1,
                "item": shown.item_id,
                "logged": shown.probability,
                "target": float(targets[n, k]),
                "slate_reward": float(logged.reward[n]),
                "weight": float(logged.weight[n]),
                "session": sessions.setdefault(exposure.session_id, len(sessions)),
                "user": people.setdefault(exposure.user, len(people)),
                "version": exposure.policy_version,
                "logged_decision": exposure.p_recommend,
                "target_decision": exposure.p_recommend,
                "epsilon": exposure.epsilon,
                "candidates": exposure.candidates,
            })  # fmt: skip
    return pl.DataFrame(rows, infer_schema_length=None)
