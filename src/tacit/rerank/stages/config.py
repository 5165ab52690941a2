"""What a rerank run can be told: the settings of every stage, and which of them do not go together."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from tacit.data.ratings.sources import RatingsConfig
from tacit.rerank.align.dpo import OBJECTIVES, DPOSettings
from tacit.rerank.align.feedback import REWARDS
from tacit.rerank.align.ppo import READS, WriterPPOConfig
from tacit.rerank.align.sft import WriterConfig
from tacit.rerank.lists.lists import ListConfig
from tacit.rerank.ranker.features import FeatureConfig
from tacit.rerank.ranker.train_listwise import ListwiseConfig
from tacit.rerank.ranker.train_reranker import RerankerConfig
from tacit.rerank.stages.material import KnowledgeConfig
from tacit.rerank.writer.vectors import AXES, MODES
from tacit.types import InputError

NO_WRITER = "none"
METHODS = ("dpo", "ppo", "best_of_n")
JUDGES = ("lists", "model", "nearness")
MOST_SETS = 5000  # of texts among which a reward model chooses
PAIRS = ("best_worst", "length_matched", "random", "swapped")


@dataclass
class AlignConfig:
    # dpo (from pairs, by dpo.objective) | ppo (from the scores, with as many texts) | best_of_n (the writer stays as it
    # is and writes several texts about everyone; a reward model chooses)
    method: str = "dpo"
    rounds: int = 2
    folds: int = 5  # of the training users: a user's reward comes from a ranker that never saw the user
    ranker: str = "dlcm"  # who judges the texts
    reward: str = "ndcg"  # ndcg (NDCG@5 of the user's lists, the paper's) | likelihood (of what was liked in them)
    reads: str = "samples"  # what that ranker learns from: samples (the first round's, one drawn a list) | first
    # who orders a training user's texts: lists (the user's own) | model (a reward model of all training users'
    # feedback, which says what of it text and history foretell) | nearness (to the user's place among the ratings: a
    # control that asks no recommender)
    judge: str = "lists"
    judged_users: int = 0  # about whom dpo or ppo learns from that judge; 0 = those who gave the feedback
    best_of: int = 5  # samples a user beside the first text, for best_of_n
    keep: int = 1  # how many of these texts are read, each alone, their vectors averaged
    pairs: str = "best_worst"  # best_worst | length_matched | random | swapped (the last two are controls)
    min_margin: float = 0.0  # of the reward, by which best and worst must differ
    users: int = 0  # training users a round; 0 = all
    force: bool = False  # train although best and worst cannot be told apart on other lists
    dpo: DPOSettings = field(default_factory=DPOSettings)
    ppo: WriterPPOConfig = field(default_factory=WriterPPOConfig)


@dataclass
class RerankConfig:
    system: str = "rerank"  # what tells this kind of config from one of conversations
    data: RatingsConfig = field(default_factory=RatingsConfig)
    lists: ListConfig = field(default_factory=ListConfig)
    knowledge: KnowledgeConfig = field(default_factory=KnowledgeConfig)
    writer: WriterConfig = field(default_factory=WriterConfig)
    ranker: RerankerConfig = field(default_factory=RerankerConfig)  # ranker.name is set by rankers
    rankers: list[str] = field(default_factory=lambda: ["dlcm", "prm"])
    ranker_seeds: int = 5
    controls: list[str] = field(default_factory=lambda: ["tfidf", "svd", "other users' texts", "empty text"])
    control_seeds: int = 2  # of each reranker of a control, and never more than ranker_seeds
    align: AlignConfig = field(default_factory=AlignConfig)
    strong: bool = True  # also the strongest rows: features of the ratings through a listwise transformer
    strong_seeds: int = 2  # theirs differ by less than .001
    features: FeatureConfig = field(default_factory=FeatureConfig)
    listwise: ListwiseConfig = field(default_factory=ListwiseConfig)
    seed: int = 0  # of the writer and of everything drawn, but for users and lists (lists.*_seed) and rankers
    device: str = "auto"
    dtype: str = "float32"
    threads: int = 0
    out: str = ""


def check(config: RerankConfig) -> None:
    """Refuse, before hours of training, what a late stage could not do."""
    if config.align.pairs not in PAIRS:
        raise InputError(f"align.pairs={config.align.pairs} is unknown: choose one of {', '.join(PAIRS)}.")
    if config.align.dpo.objective not in OBJECTIVES:
        raise InputError(f"align.dpo.objective={config.align.dpo.objective}: choose one of {', '.join(OBJECTIVES)}.")
    if config.knowledge.mode not in MODES:
        raise InputError(f"knowledge.mode={config.knowledge.mode} is unknown: choose one of {', '.join(MODES)}.")
    if config.knowledge.axes not in AXES:
        raise InputError(f"knowledge.axes={config.knowledge.axes} is unknown: choose one of {', '.join(AXES)}.")
    by_ratings = config.knowledge.axes == "collaborative" and config.knowledge.components > 0
    if "dlcm_match" in (*config.rankers, config.align.ranker) and not by_ratings:
        raise InputError(
            "dlcm_match compares users and items along the ratings' axes: set knowledge.axes=collaborative and some "
            "knowledge.components, or take other rankers (rankers, align.ranker)."
        )
    if config.align.reward not in REWARDS:
        raise InputError(f"align.reward={config.align.reward} is unknown: choose one of {', '.join(REWARDS)}.")
    if config.align.reads not in ("samples", "first"):
        raise InputError(f"align.reads={config.align.reads} is unknown: choose samples or first.")
    if config.align.method not in METHODS:
        raise InputError(f"align.method={config.align.method} is unknown: choose one of {', '.join(METHODS)}.")
    if config.align.ppo.read not in READS:
        raise InputError(f"align.ppo.read={config.align.ppo.read} is unknown: choose one of {', '.join(READS)}.")
    if config.align.method == "ppo" and config.align.pairs != "best_worst":
        raise InputError(
            f"align.pairs={config.align.pairs} is a control of align.method=dpo: ppo learns from no pairs."
        )
    _check_judge(config, by_ratings)
    if config.align.rounds and config.knowledge.writer in ("endpoint", NO_WRITER):
        raise InputError(f"knowledge.writer={config.knowledge.writer} leaves nothing to tune here: set align.rounds=0.")


def _check_judge(config: RerankConfig, by_ratings: bool) -> None:
    """What a reward model of texts, and choosing by it, asks for."""
    wanted = config.align
    if wanted.judge not in JUDGES:
        raise InputError(f"align.judge={wanted.judge} is unknown: choose one of {', '.join(JUDGES)}.")
    if wanted.judge != "lists" and not by_ratings:
        raise InputError(
            f"align.judge={wanted.judge} holds a text against its user's place among the ratings: set "
            "knowledge.axes=collaborative and some knowledge.components."
        )
    if wanted.judged_users and (wanted.judge == "lists" or wanted.method == "best_of_n"):
        raise InputError(
            "align.judged_users are for dpo and ppo that learn from a reward model: set align.judge=model."
        )
    if wanted.method != "best_of_n":
        return
    if wanted.judge == "lists":
        raise InputError("align.method=best_of_n chooses for users without feedback too: set align.judge=model.")
    if wanted.rounds > 1:
        raise InputError("align.method=best_of_n tunes nothing, so a second round has nothing to add: align.rounds=1.")
    if not 1 <= wanted.keep <= 1 + wanted.best_of:
        raise InputError(
            f"align.keep={wanted.keep} texts of the first one and {wanted.best_of} samples (align.best_of): keep at "
            "least one, and no more than there are."
        )
    if math.comb(1 + wanted.best_of, wanted.keep) > MOST_SETS:
        raise InputError(
            f"align.keep={wanted.keep} of {1 + wanted.best_of} texts can be chosen in more than {MOST_SETS:,} ways: "
            "lower align.best_of or align.keep."
        )
    if wanted.pairs == "length_matched":
        raise InputError("align.method=best_of_n chooses texts, not pairs: align.pairs=best_worst, random or swapped.")
