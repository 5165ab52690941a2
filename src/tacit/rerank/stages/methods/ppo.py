"""PPO: the writer learns from the scores themselves while it samples, from as many texts as a round of pairs takes."""

from __future__ import annotations

from typing import Any

from tacit.rerank.align.feedback import RerankerScorer
from tacit.rerank.align.ppo import align_by_scores
from tacit.rerank.align.ppo_learner import Task
from tacit.rerank.stages.preferences import feedback_card, keep_pairs
from tacit.rerank.stages.rounds import Round
from tacit.rerank.stages.texts import write_texts, writer
from tacit.rerank.writer.texts import Texts
from tacit.text.lm import load_tokenizer


def texts(this: Round, scorer: RerankerScorer) -> tuple[Texts, dict[str, Any]]:
    """The tuned writer's likeliest text about everyone. It learns from no pairs; they are kept to be looked at."""
    config = this.context.config
    groups = align_by_scores(
        this.base,
        load_tokenizer(this.base, "knowledge.writer"),
        task=Task(this.users, this.prompts, config.knowledge.samples, config.knowledge.max_tokens),
        scorer=scorer,
        config=config.align.ppo,
        stage=this.tuning,
        seed=this.seed,
        device=this.context.device,
        dtype=config.dtype,
    )
    card, _ = feedback_card(this, groups)
    keep_pairs(this, groups, card)
    return write_texts(writer(this.context, this.tuned_writer), this.context.data), card
