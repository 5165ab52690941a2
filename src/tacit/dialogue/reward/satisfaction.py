"""How satisfied a person is with a turn and with a conversation: what was observed, and what is foretold.

Observed: the pleasure of the user's next words (``listening``). Foretold, from the turn and what was said before it:
half the mood so far, a quarter whether the turn answers what was asked, a quarter the pleasure that ``foretell``
expects. A turn that was answered is worth the mean of both, one that was not what is foretold; a conversation is worth
the certainty equivalent of its turns (``whole``), so that neither more turns nor more words make it better. All in
standard deviations of real turns. The shares are ours: nothing here was fitted to anybody's word on satisfaction.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tacit.dialogue.reward.foretell import HEADS, Foreteller, probability
from tacit.dialogue.reward.listening import mood
from tacit.types import Dialogue, Floats64, Turn

MOOD, FITS, PLEASED = 0.5, 0.25, 0.25  # shares of what is foretold
MOST = 3.0  # standard deviations of a part
RECENT = 0.85  # weight of a turn in a conversation, of that of the next one


@dataclass(frozen=True, slots=True)
class TurnSatisfaction:
    """Of the agent turn at ``turn``. ``observed`` is None where the user said nothing after it. ``parts``: ``mood``,
    the probability that the turn ``fits`` and that the user will ``accept``, ``refuse``, ``request`` another or ``end``
    (in [0, 1]), and the foretold ``pleased``."""

    turn: int
    satisfaction: float
    observed: float | None
    foretold: float
    parts: dict[str, float]


@dataclass(frozen=True, slots=True)
class DialogueSatisfaction:
    """``whole`` of the agent turns; ``observed`` of those that were answered, None where none was."""

    dialogue: str
    turns: int
    answered: int
    satisfaction: float | None
    observed: float | None
    foretold: float | None


def foretold(mood: Floats64, heads: Floats64, model: Foreteller) -> Floats64:
    """[n] from moods [n] and ``Foreteller.heads`` [n, len(HEADS)]."""
    mean, std = model.head_mean.double().cpu().numpy(), model.head_std.double().cpu().numpy()
    z = np.clip((heads - mean) / std, -MOST, MOST)
    return np.asarray(MOOD * mood + FITS * z[:, HEADS.index("fits")] + PLEASED * z[:, HEADS.index("pleased")])


def satisfaction(observed: Floats64, foretold: Floats64) -> Floats64:
    """[n]: the mean of both; what is foretold where ``observed`` is NaN."""
    return np.asarray(np.where(np.isfinite(observed), (np.nan_to_num(observed) + foretold) / 2, foretold))


def judge_turns(model: Foreteller, dialogue: Dialogue) -> list[TurnSatisfaction]:
    """Every agent turn. Of several agent messages in a row the last one is answered, and each is one turn."""
    agent = [t for t, turn in enumerate(dialogue.turns) if turn.speaker == "agent"]
    if not agent:
        return []
    contexts, turns = [dialogue.before(t) for t in agent], [dialogue.turns[t] for t in agent]
    heads = model.heads(model.situations(contexts, turns)).double().cpu().numpy()
    moods = np.array([mood(model.listener.pleasures(context.merged().turns)) for context in contexts])
    expected = foretold(moods, heads, model)
    seen = np.array([_after(model, dialogue, t) for t in agent])
    whole = satisfaction(seen, expected)
    return [
        TurnSatisfaction(
            t,
            float(whole[k]),
            float(seen[k]) if math.isfinite(seen[k]) else None,
            float(expected[k]),
            {"mood": float(moods[k])}
            | {
                name: float(x) if name == "pleased" else probability(x) for name, x in zip(HEADS, heads[k], strict=True)
            },
        )
        for k, t in enumerate(agent)
    ]


def _after(model: Foreteller, dialogue: Dialogue, t: int) -> float:
    """The pleasure of all that the user says next, as one turn; NaN where the agent speaks next, or nobody."""
    rest = dialogue.turns[t + 1 :]
    said = next((k for k, turn in enumerate(rest) if turn.speaker == "agent"), len(rest))
    if said == 0:
        return math.nan
    words: Sequence[Turn] = dialogue.before(t + 1 + said).merged().turns
    return float(model.listener.pleasures(words)[-1])


def judge_dialogue(dialogue: Dialogue, turns: Sequence[TurnSatisfaction]) -> DialogueSatisfaction:
    answered = [turn.observed for turn in turns if turn.observed is not None]
    return DialogueSatisfaction(
        dialogue.id,
        len(turns),
        len(answered),
        whole([turn.satisfaction for turn in turns]),
        whole(answered),
        whole([turn.foretold for turn in turns]),
    )


def whole(values: Sequence[float]) -> float | None:
    """−log Σ w·exp(−value), w ∝ ``RECENT`` to the number of turns that follow: a mean in which bad moments weigh more
    than good ones, and late ones more than early ones (Fredrickson and Kahneman's peak and end, 1993). It lies
    between the least value and the mean with those weights; None of no turn."""
    if not values:
        return None
    weights = RECENT ** np.arange(len(values))[::-1]
    return float(-np.log(np.average(np.exp(-np.asarray(values)), weights=weights)))
