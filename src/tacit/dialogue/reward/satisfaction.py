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
from tacit.types import Dialogue, Floats64

MOOD, FITS, PLEASED = 0.5, 0.25, 0.25  # shares of what is foretold
MOST = 3.0  # standard deviations of a part
RECENT = 0.85  # weight of a turn in a conversation, of that of the next one


@dataclass(frozen=True, slots=True)
class TurnSatisfaction:
    """Of the agent turn at ``turn``. ``observed`` is None where the user said nothing after it, or nothing that can be
    read. ``parts``: ``mood``, the probability that the turn ``fits`` and that the user will ``accept``, ``refuse``,
    ``request`` another or ``end`` (in [0, 1]), and the foretold ``pleased``. A turn before any word of the user answers
    nothing: all but the mood are None, and what is foretold is 0, as of a usual turn."""

    turn: int
    satisfaction: float
    observed: float | None
    foretold: float
    parts: dict[str, float | None]


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
    # Nobody's pleasure rests on what is said later, so each context has a beginning of the whole dialogue's.
    read = model.listener.pleasures(dialogue.merged().turns)
    pleased = [read[:n] for n in _before(dialogue, agent)]
    heads = model.heads(model.situations(contexts, turns, pleased=pleased)).double().cpu().numpy()
    moods = np.array([mood(one) for one in pleased])
    asked = [any(turn.speaker == "user" and turn.text.strip() for turn in context.turns) for context in contexts]
    expected = np.where(asked, foretold(moods, heads, model), 0.0)
    seen = np.array([_after(dialogue, t, read[len(one) :]) for t, one in zip(agent, pleased, strict=True)])
    whole = satisfaction(seen, expected)
    return [
        TurnSatisfaction(
            t,
            float(whole[k]),
            float(seen[k]) if math.isfinite(seen[k]) else None,
            float(expected[k]),
            _parts(float(moods[k]), heads[k] if asked[k] else None),
        )
        for k, t in enumerate(agent)
    ]


def _parts(mood: float, heads: Floats64 | None) -> dict[str, float | None]:
    parts: dict[str, float | None] = {"mood": mood, **dict.fromkeys(HEADS)}
    for name, x in zip(HEADS, () if heads is None else heads, strict=heads is not None):
        parts[name] = float(x) if name == "pleased" else probability(x)
    return parts


def _before(dialogue: Dialogue, places: Sequence[int]) -> list[int]:
    """How many turns, those of one speaker in a row as one, stand before each of ``places``."""
    speakers = [turn.speaker for turn in dialogue.turns]
    starts = np.cumsum([k == 0 or speakers[k - 1] != speaker for k, speaker in enumerate(speakers)])
    return [int(starts[t - 1]) if t else 0 for t in places]


def _after(dialogue: Dialogue, t: int, rest: Floats64) -> float:
    """The pleasure of all that the user says next, as one turn; NaN where the agent speaks next, or nobody. ``rest`` is
    the pleasure of the merged turns from the agent's at ``t`` on, or where it goes on with one, from the next on."""
    if t + 1 == len(dialogue.turns) or dialogue.turns[t + 1].speaker == "agent":
        return math.nan
    return float(rest[0 if t and dialogue.turns[t - 1].speaker == "agent" else 1])


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
