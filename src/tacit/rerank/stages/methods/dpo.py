"""DPO, or another objective over pairs: the writer is tuned to prefer one text of each pair to the other."""

from __future__ import annotations

from typing import Any

from tacit.rerank.align.dpo import align
from tacit.rerank.align.feedback import RerankerScorer
from tacit.rerank.stages.preferences import preferences
from tacit.rerank.stages.rounds import Round
from tacit.rerank.stages.texts import write_texts, writer
from tacit.rerank.writer.texts import Texts
from tacit.text.lm import load_tokenizer


def texts(this: Round, scorer: RerankerScorer) -> tuple[Texts, dict[str, Any]]:
    """The tuned writer's likeliest text about everyone."""
    config = this.context.config
    preferred = preferences(this, scorer)
    align(
        this.base,
        load_tokenizer(this.base, "knowledge.writer"),
        pairs=preferred.pairs,
        settings=config.align.dpo,
        stage=this.tuning,
        seed=config.seed,
        device=this.context.device,
        dtype=config.dtype,
    )
    return write_texts(writer(this.context, this.tuned_writer), this.context.data), preferred.card
