"""Which of two texts about a user is preferred: by the user's own lists, or by a model that stands in their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tacit.rerank.align.feedback import Encoder, RerankerScorer
from tacit.rerank.align.pairs import (
    Agreement,
    Pair,
    agreement_of,
    best_worst,
    pair_card,
    random_pairs,
    require_signal,
    split_half,
    swapped,
)
from tacit.rerank.align.text_reward import PREDICTED, TextReward, as_predicted, learn, nearest
from tacit.rerank.stages.config import AlignConfig
from tacit.rerank.stages.rounds import Round
from tacit.types import Floats32, Group

Groups = Sequence[Group]

# What orders the texts in place of the user's own lists: groups, the texts' vectors, the users' places, a seed → model
REWARD_MODELS: Mapping[str, Callable[[Groups, Floats32, Floats32, int], tuple[TextReward, list[Group]]]] = {
    "model": learn,
    "nearness": lambda groups, vectors, places, seed: nearest(groups, vectors, places),
}
# Which two texts of a group make a pair; the last two are controls.
PAIRINGS: Mapping[str, Callable[[Groups, AlignConfig, int], list[Pair]]] = {
    "best_worst": lambda groups, align, seed: best_worst(groups, min_margin=align.min_margin),
    "random": lambda groups, align, seed: random_pairs(groups, seed),
    "swapped": lambda groups, align, seed: swapped(best_worst(groups, min_margin=align.min_margin)),
}


@dataclass(frozen=True)
class Preferences:
    """What a round learns from. ``reward`` is the model that ordered the texts; None where the lists did."""

    pairs: list[Pair]
    reward: TextReward | None
    card: dict[str, Any]


def preferences(this: Round, scorer: RerankerScorer) -> Preferences:
    """Of the round's samples; raises where the lists' feedback is noise. Card and pairs are kept before that."""
    align, seed = this.context.config.align, this.context.config.seed
    groups = this.scored(scorer)
    card, agreement = feedback_card(this, groups)
    pairs = keep_pairs(this, groups, card)
    require_signal(agreement, align.force)
    if align.preference_source == "lists":
        return Preferences(pairs, None, card)
    reward, groups = _modelled(this, groups, scorer.encode)
    card[align.preference_source] = agreement_of(groups, PREDICTED, seed).as_json()
    return Preferences(keep_pairs(this, as_predicted(groups), card), reward, card)


def feedback_card(this: Round, groups: Groups) -> tuple[dict[str, Any], Agreement]:
    """How the texts were scored, and whether the scores are more than noise."""
    config = this.context.config
    agreement = split_half(groups, config.seed, config.align.reward)
    return {"scored_by": config.align.reward, "agreement": agreement.as_json()}, agreement


def keep_pairs(this: Round, groups: Groups, card: dict[str, Any]) -> list[Pair]:
    """The pairs of the groups, in the round's folder; they are counted in ``card["pairs"]``."""
    config = this.context.config
    pairs = PAIRINGS[config.align.pairs](groups, config.align, config.seed + this.number)
    card["pairs"] = pair_card(groups, pairs)
    this.keep(card, pairs)
    return pairs


def _modelled(this: Round, groups: Groups, encode: Encoder) -> tuple[TextReward, list[Group]]:
    """A reward model, or what stands in its place as a control; and the groups with what it says of each text."""
    config, data = this.context.config, this.context.data
    users = [int(group.options[0].context.user) for group in groups]
    options = [(user, option) for user, group in zip(users, groups, strict=True) for option in group.options]
    vectors = encode([user for user, _ in options], [(option.sample.text,) for _, option in options])
    return REWARD_MODELS[config.align.preference_source](groups, vectors, data.places[users], config.seed)
