"""What a rerank run can be told: the settings of every stage, and which of them do not go together."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from tacit.data.ratings.sources import RatingsConfig
from tacit.rerank.align.dpo import OBJECTIVES, DPOSettings
from tacit.rerank.align.feedback import Reward
from tacit.rerank.align.ppo_learner import WriterPPOConfig
from tacit.rerank.align.sft import WriterConfig
from tacit.rerank.lists.lists import ListConfig
from tacit.rerank.ranker.features import FeatureConfig
from tacit.rerank.ranker.rerankers import RankerName
from tacit.rerank.ranker.train_listwise import ListwiseConfig
from tacit.rerank.ranker.train_reranker import RerankerConfig
from tacit.rerank.stages.data import KnowledgeConfig
from tacit.run.config import check_types
from tacit.run.limits import at_least, between, random_seed
from tacit.text.adapters import read_adapters
from tacit.text.gguf import is_gguf
from tacit.types import InputError

NO_WRITER = "none"
MOST_SETS = 5000  # of texts among which a reward model chooses

Method = Literal["dpo", "ppo", "best_of_n"]
PreferenceSource = Literal["lists", "model", "nearness"]
Pairing = Literal["best_worst", "random", "swapped"]
Control = Literal["tfidf", "svd", "other users' texts", "empty text"]


@dataclass
class AlignConfig:
    # dpo (from pairs, by dpo.objective) | ppo (from the scores, with as many texts) | best_of_n (the writer stays as it
    # is and writes several texts about everyone; a reward model chooses)
    method: Method = "dpo"
    rounds: int = between(0, 1000, default=2)
    # of the training users: a user's reward comes from a ranker that never saw the user
    folds: int = at_least(2, default=5)
    ranker: RankerName = "dlcm"  # which reranker scores the texts
    reward: Reward = "ndcg"  # ndcg (NDCG@5 of the user's lists, the paper's) | likelihood (of what was liked in them)
    # what that ranker learns from: samples (the first round's, one drawn a list) | first (texts)
    reads: Literal["samples", "first"] = "samples"
    # what orders a training user's texts: lists (the user's own) | model (a reward model of all training users'
    # feedback, which says what of it text and history tell beforehand) | nearness (to the user's place among the
    # ratings: a control that asks no recommender)
    preference_source: PreferenceSource = "lists"
    best_of: int = at_least(1, default=5)  # samples a user beside the first text, for best_of_n
    keep: int = at_least(1, default=1)  # how many of these texts are read, each alone, their vectors averaged
    pairs: Pairing = "best_worst"  # the others are controls
    min_margin: float = at_least(0.0, default=0.0)  # of the reward, by which best and worst must differ
    users: int = at_least(0, default=0)  # training users a round; 0 = all
    force: bool = False  # train although best and worst cannot be told apart on other lists
    dpo: DPOSettings = field(default_factory=DPOSettings)
    ppo: WriterPPOConfig = field(default_factory=WriterPPOConfig)


@dataclass
class RerankConfig:
    system: Literal["rerank"] = "rerank"  # what tells this kind of config from one of conversations
    data: RatingsConfig = field(default_factory=RatingsConfig)
    lists: ListConfig = field(default_factory=ListConfig)
    knowledge: KnowledgeConfig = field(default_factory=KnowledgeConfig)
    writer: WriterConfig = field(default_factory=WriterConfig)
    ranker: RerankerConfig = field(default_factory=RerankerConfig)  # ranker.name is set by rankers
    rankers: list[RankerName] = field(default_factory=lambda: ["dlcm", "prm"])
    ranker_seeds: int = at_least(1, default=5)
    controls: list[Control] = field(default_factory=lambda: ["tfidf", "svd", "other users' texts", "empty text"])
    control_seeds: int = at_least(1, default=2)  # of each reranker of a control, and never more than ranker_seeds
    align: AlignConfig = field(default_factory=AlignConfig)
    strong: bool = True  # also the strongest rows: features of the ratings through a listwise transformer
    strong_seeds: int = at_least(1, default=2)  # theirs differ by less than .001
    features: FeatureConfig = field(default_factory=FeatureConfig)
    listwise: ListwiseConfig = field(default_factory=ListwiseConfig)
    # of the writer and of everything drawn, but for users and lists (lists.*_seed) and rankers
    seed: int = random_seed(default=0)
    device: str = "auto"
    # auto (the faster one here, measured when the run begins) | float32 | bfloat16 (autocast)
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    threads: int = between(0, 1024, default=0)
    out: str = ""


def check(config: RerankConfig) -> None:
    """Refuse, before hours of training, what a late stage could not do."""
    check_types(config)
    _check_writer(config.knowledge)
    _check_align(config.align)
    _check_together(config)


def _check_writer(config: KnowledgeConfig) -> None:
    """An endpoint without an address, and adapters without their base, are found out before anything is trained."""
    if config.writer == "endpoint" and not (config.url and config.model):
        raise InputError("knowledge.writer=endpoint needs knowledge.url (up to /v1) and knowledge.model.")
    if config.writer not in ("small", "endpoint", "none") and not is_gguf(config.writer):
        read_adapters(config.writer, "knowledge.writer")  # a hub's name is looked up in its cache


def _check_align(align: AlignConfig) -> None:
    if align.dpo.objective not in OBJECTIVES:
        raise InputError(f"align.dpo.objective={align.dpo.objective}: choose one of {', '.join(OBJECTIVES)}.")
    if align.method == "ppo" and align.pairs != "best_worst":
        raise InputError(f"align.pairs={align.pairs} is a control of align.method=dpo: ppo learns from no pairs.")
    if align.method == "ppo" and align.preference_source != "lists":
        raise InputError(
            f"align.preference_source={align.preference_source} orders texts for pairs, and ppo takes none: set "
            "align.preference_source=lists."
        )
    if align.method == "best_of_n":
        _check_best_of_n(align)


def _check_best_of_n(align: AlignConfig) -> None:
    if align.preference_source == "lists":
        raise InputError(
            "align.method=best_of_n chooses for users without feedback too: set align.preference_source=model."
        )
    if align.rounds > 1:
        raise InputError("align.method=best_of_n tunes nothing, so a second round has nothing to add: align.rounds=1.")
    if not 1 <= align.keep <= 1 + align.best_of:
        raise InputError(
            f"align.keep={align.keep} texts of the first one and {align.best_of} samples (align.best_of): keep at "
            "least one, and no more than there are."
        )
    if math.comb(1 + align.best_of, align.keep) > MOST_SETS:
        raise InputError(
            f"align.keep={align.keep} of {1 + align.best_of} texts can be chosen in more than {MOST_SETS:,} ways: "
            "lower align.best_of or align.keep."
        )


def _check_together(config: RerankConfig) -> None:
    """What one section asks of another."""
    if not config.knowledge.components:
        if "dlcm_match" in (*config.rankers, config.align.ranker):
            raise InputError(
                "dlcm_match compares users and items along the ratings' axes: set some knowledge.components, or take "
                "other rankers (rankers, align.ranker)."
            )
        if config.align.preference_source != "lists":
            raise InputError(
                f"align.preference_source={config.align.preference_source} holds a text against its user's place among "
                "the ratings: set some knowledge.components."
            )
    fixed = config.knowledge.writer == "endpoint" and config.align.method != "best_of_n"
    if config.align.rounds and (fixed or config.knowledge.writer == NO_WRITER):
        choose = " (or align.method=best_of_n align.preference_source=model align.rounds=1)" if fixed else ""
        raise InputError(
            f"knowledge.writer={config.knowledge.writer} leaves nothing to tune here: set align.rounds=0{choose}."
        )
