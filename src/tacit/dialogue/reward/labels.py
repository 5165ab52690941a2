"""Weak labels straight from feedback: what a reward model learns from.

``observe`` reads what each agent turn provoked off a dialogue; ``Labeller`` makes channels and weak labels of it and
remembers how (dwell regression, scales, weights), so that the same numbers can be made again later.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from tacit.catalog import Catalog
from tacit.dialogue.reward.features import query_vectors
from tacit.dialogue.reward.signals import (
    ChannelScale,
    DwellModel,
    SignalConfig,
    dwell_interest,
    dwell_residual,
    engagement,
    fit_dwell,
    fit_scale,
    relevance,
    sentiment_shift,
    weak_label,
)
from tacit.text.encoder import TextEncoder
from tacit.text.sentiment import Sentiment, genre_words, mask_genres, mask_titles
from tacit.types import Dialogue, Feedback, Floats64, InputError, Turn

_FORMER_SIGNALS = ("weights", "outcome")  # settings of earlier versions; the record holds the weights themselves


@dataclass(frozen=True)
class Observation:
    """One agent turn, its context, and what followed. None = not observed."""

    context: Dialogue
    turn: Turn
    continued: bool | None  # the user answered without leaving, or ended by accepting
    abandoned: bool | None  # the user left without accepting
    before: tuple[str, ...] = ()  # user utterances before the turn
    after: tuple[str, ...] = ()  # user utterances after it, up to the agent's next slate

    @property
    def feedback(self) -> Feedback:
        return self.turn.feedback or Feedback()


def observe(dialogue: Dialogue) -> list[Observation]:
    """Every agent turn of a dialogue with what it provoked. Messages of one speaker are merged first."""
    whole = dialogue.merged()
    observations = []
    for t, turn in enumerate(whole.turns):
        if turn.speaker != "agent":
            continue
        rest = whole.turns[t + 1 :]
        stop = next((k for k, later in enumerate(rest) if later.speaker == "agent" and later.slate), len(rest))
        answered = any(later.speaker == "user" for later in rest[:1])
        left, accepted = (turn.feedback.left, turn.feedback.accepted) if turn.feedback else (None, None)
        abandoned = bool(left and not accepted) if left is not None else False if answered else None
        continued = False if abandoned else True if answered or accepted else None
        observations.append(
            Observation(
                context=whole.before(t),
                turn=turn,
                continued=continued,
                abandoned=abandoned,
                before=tuple(past.text for past in whole.turns[:t] if past.speaker == "user"),
                after=tuple(later.text for later in rest[:stop] if later.speaker == "user"),
            )
        )
    return observations


def _column(values: Sequence[float | bool | None]) -> Floats64:
    return np.array([math.nan if value is None else float(value) for value in values], dtype=np.float64)


def _clicked(o: Observation) -> bool | None:
    """A turn that was watched and showed nothing earned no click: 0, not missing. Otherwise a policy that never
    recommends would escape the only part of engagement that it can fail."""
    if o.turn.feedback is not None and not o.turn.slate:
        return False
    return None if o.feedback.clicked is None else bool(o.feedback.clicked)


def _scrolled(o: Observation) -> float | None:
    """Share of the cards that were seen; 0 where a watched turn showed none, for the same reason."""
    return 0.0 if o.turn.feedback is not None and not o.turn.slate else o.feedback.scroll_depth


@dataclass
class Labeller:
    """Observations → channels [n, 3] → weak labels [n], the same way every time."""

    catalog: Catalog
    encoder: TextEncoder
    sentiment: Sentiment
    config: SignalConfig
    dwell: DwellModel | None = None
    scale: ChannelScale = field(default_factory=lambda: ChannelScale((0.0,) * 3, (1.0,) * 3))
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.config.parts) != 5 or min(self.config.parts) < 0 or sum(self.config.parts) <= 0:
            raise InputError("signals.parts: give five shares, none negative: dwell, scroll, click, continue, stay.")
        self.weights = self.weights or (self.config.alpha, self.config.beta, self.config.gamma)
        if not any(self.weights):
            raise InputError("signals.alpha, beta and gamma are all 0: give at least one channel a weight.")
        self._genres = genre_words(self.catalog)
        self._felt: dict[str, float] = {}

    def fit(self, observations: Sequence[Observation]) -> Labeller:
        """Dwell regression and channel scales, from training logs."""
        if not observations:
            raise InputError(
                "there is no agent turn to learn a reward from: give at least one training dialogue with one, or let "
                "more sessions be simulated (reward.logs.sessions, reward.dialogues)."
            )
        self.dwell = fit_dwell(*self._dwell_columns(observations))
        self.scale = fit_scale(self.channels(observations))
        return self

    def channels(self, observations: Sequence[Observation]) -> Floats64:
        """[n, 3]: engagement, relevance, sentiment shift, each in its own unit; NaN = not observed."""
        return np.stack([self._engagement(observations), self._relevance(observations), self._shift(observations)], 1)

    def labels(self, channels: Floats64) -> Floats64:
        return weak_label(channels, self.weights, self.scale)

    def to_json(self) -> dict[str, Any]:
        return {
            "signals": asdict(self.config),
            "sentiment": self.sentiment.id,
            "dwell": self.dwell.to_json() if self.dwell else None,
            "scale": asdict(self.scale),
            "weights": list(self.weights),
        }

    @classmethod
    def from_json(
        cls, record: Mapping[str, Any], catalog: Catalog, encoder: TextEncoder, sentiment: Sentiment
    ) -> Labeller:
        if record["sentiment"] != sentiment.id:
            raise InputError(
                f"signals.sentiment: these labels were made by {record['sentiment']}, not by {sentiment.id}; "
                "use the same backend or make the labels anew."
            )
        dwell = record["dwell"]
        return cls(
            catalog,
            encoder,
            sentiment,
            SignalConfig(**{name: value for name, value in record["signals"].items() if name not in _FORMER_SIGNALS}),
            DwellModel.from_json(dwell) if dwell else None,
            ChannelScale(*(tuple(record["scale"][k]) for k in ("mean", "std"))),
            tuple(record["weights"]),
        )

    def _dwell_columns(
        self, observations: Sequence[Observation]
    ) -> tuple[Floats64, Floats64, Floats64, Floats64, list[str | None]]:
        return (
            _column([o.feedback.dwell_s for o in observations]),
            _column([len(o.turn.text.split()) for o in observations]),
            _column([len(o.turn.slate.items) if o.turn.slate else 0 for o in observations]),
            _column([sum(t.speaker == "agent" for t in o.context.turns) for o in observations]),
            [o.feedback.device for o in observations],
        )

    def _engagement(self, observations: Sequence[Observation]) -> Floats64:
        continued = _column([o.continued for o in observations])
        abandoned = _column([o.abandoned for o in observations])
        clicked = _column([_clicked(o) for o in observations])
        dwell = np.full(len(observations), np.nan)
        if self.dwell is not None:
            residual = dwell_residual(*self._dwell_columns(observations), model=self.dwell)
            dwell = dwell_interest(residual, clicked, continued, abandoned)
        scroll = _column([_scrolled(o) for o in observations])
        parts = self.config.parts
        return engagement(dwell, scroll, clicked, continued, abandoned, parts, self.config.min_parts)

    def _relevance(self, observations: Sequence[Observation], chunk: int = 512) -> Floats64:
        relevances = np.full(len(observations), np.nan)
        shown = [i for i, o in enumerate(observations) if o.turn.slate and o.turn.slate.items]
        for start in range(0, len(shown), chunk):
            rows = shown[start : start + chunk]
            slates = [observations[i].turn.slate for i in rows]
            texts = [[self.catalog[item].text for item in slate.items] if slate else [] for slate in slates]
            contexts = [observations[i].context for i in rows]
            query = query_vectors(self.encoder, contexts, self.config.query_turns).double().cpu().numpy()
            items = np.zeros((len(rows), max(map(len, texts)), query.shape[1]))
            flat = self.encoder.encode([text for slate in texts for text in slate]).double().cpu().numpy()
            mask = np.arange(items.shape[1])[None, :] < np.array([len(slate) for slate in texts])[:, None]
            items[mask] = flat
            relevances[rows] = relevance(query, items, mask)
        return relevances

    def _shift(self, observations: Sequence[Observation]) -> Floats64:
        self._feel([text for o in observations for text in (*o.before, *o.after)])

        def mean(texts: Sequence[str]) -> float:
            return sum(self._felt[text] for text in texts) / len(texts) if texts else math.nan

        before, after = [], []
        for o in observations:
            given = o.feedback
            before.append(mean(o.before) if given.sentiment_before is None else given.sentiment_before)
            after.append(mean(o.after) if given.sentiment_after is None else given.sentiment_after)
        return sentiment_shift(np.array(before), np.array(after))

    def _feel(self, texts: Sequence[str]) -> None:
        new = list(dict.fromkeys(text for text in texts if text not in self._felt))
        masked = [mask_genres(mask_titles(text, self.catalog), self._genres) for text in new]
        self._felt.update(zip(new, self.sentiment(masked), strict=True))
