"""A crowd of simulated users that converse with a recommender as one batch.

``UserWorld`` is fitted once from the training dialogues; ``UserWorld.start`` brings n fresh users; ``Crowd.step`` takes
one agent turn for each and gives what each was observed to do. What users truly feel is not on this surface: only the
evaluator reads it, through ``tacit.users.oracle``.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tacit.catalog import Catalog
from tacit.dialogue.users import wording, world_files
from tacit.dialogue.users.behaviour import BehaviourConfig
from tacit.dialogue.users.calibrate import CalibrationRow, calibrate, rows_to_json
from tacit.dialogue.users.hearing import Heard, HearingConfig, hear
from tacit.dialogue.users.language import LanguageSense
from tacit.dialogue.users.leak import auditor
from tacit.dialogue.users.mining import mine
from tacit.dialogue.users.people import People, PeopleConfig, draw_people
from tacit.dialogue.users.phrases import Phrases
from tacit.dialogue.users.speech import Speech, Voice
from tacit.dialogue.users.taste import Taste, TasteConfig, fit_taste
from tacit.dialogue.users.user_state import Reaction, Tuning, UserState
from tacit.dialogue.users.wording import ItemAttributes, Reply, Speaker, SpeakerState, Utterance, user_turn
from tacit.run.files import says_when_damaged
from tacit.run.limits import at_least
from tacit.types import Dialogue, Ended, Feedback, Ints64, Turn

log = logging.getLogger("tacit")

READING_WPS = 4.0  # words a second, for the clock of the dialogue only
REDRAWS = 20  # of a line that gives a target away, before the user says something that says nothing
SILENT = 0.6  # share of leavers who say nothing


@dataclass
class UsersConfig:
    taste: TasteConfig = field(default_factory=TasteConfig)
    people: PeopleConfig = field(default_factory=PeopleConfig)
    behaviour: BehaviourConfig = field(default_factory=BehaviourConfig)
    hearing: HearingConfig = field(default_factory=HearingConfig)
    phrases: str = ""  # how users talk: a YAML file (docs/data.md), or german; empty: told from the dialogues
    audit: bool = True  # read every text a recommender receives for leaks, and draw a line again that holds one
    # turns a user has to give: the hidden total is the mean over them (see oracle.py)
    horizon: int = at_least(1, default=5)

    @classmethod
    def of(cls, saved: Mapping[str, Any], hears: bool) -> UsersConfig:
        """From ``asdict``; users that were made before they heard anything (not ``hears``) go on hearing nothing."""
        config = cls(**saved)
        config.taste = TasteConfig(**saved["taste"])
        config.people = PeopleConfig(**saved["people"])
        config.behaviour = BehaviourConfig(**saved["behaviour"])
        config.hearing = HearingConfig(**saved["hearing"]) if hears else HearingConfig(judged=False)
        return config


class Crowd:
    """n users as one batch. ``dialogues`` hold what was said; ``active`` who still talks; ``ended`` how it ended."""

    def __init__(
        self,
        catalog: Catalog,
        speaker: Speaker,
        people: People,
        taste: Taste,
        config: UsersConfig,
        tuning: Tuning,
        generator: np.random.Generator,
        ids_prefix: str,
        sense: LanguageSense | None = None,
    ) -> None:
        luck, words = generator.integers(2**63, size=2)
        self._catalog, self._speaker, self._people, self._config = catalog, speaker, people, config
        self._user_state = UserState(
            people, taste, config.people, config.behaviour, tuning, np.random.default_rng(int(luck))
        )
        self._sense = sense
        self._heard: list[list[tuple[bool, int, bool]]] = [[] for _ in people.patience]
        self._words = np.random.default_rng(int(words))
        n = len(people)
        self.active: npt.NDArray[np.bool_] = np.ones(n, dtype=bool)
        self.ended: list[Ended | None] = [None] * n
        self._redrawn = 0
        self.dialogues: list[Dialogue] = []
        self._hidden: list[list[float]] = [[] for _ in range(n)]
        self._accepted_value = np.full(n, np.nan)
        self._speaker_states: list[SpeakerState] = [speaker.speaker_state(people, user) for user in range(n)]
        self._targets = [tuple(catalog.items[row].id for row in people.targets[user]) for user in range(n)]
        self._clock = np.zeros(n)
        for user, speaker_state in enumerate(self._speaker_states):
            name = f"{ids_prefix}{user}"
            self.dialogues.append(Dialogue(name, name, ()))
            self._answer(user, wording.opening(speaker_state, self._words))

    def __len__(self) -> int:
        return len(self.active)

    @property
    def redrawn(self) -> int:
        """Lines drawn again because they gave a target away, over all users."""
        return self._redrawn

    def step(self, turns: Mapping[int, Turn] | Sequence[Turn | None]) -> list[Feedback | None]:
        """One agent turn for each active user (None or absent: skipped this time). Returns what was observed, and
        appends to ``dialogues`` the agent's turn with that feedback and, unless it left silently, the user's answer."""
        given = turns if isinstance(turns, Mapping) else {i: t for i, t in enumerate(turns) if t is not None}
        users = [user for user in sorted(given) if self.active[user]]
        rows, mask, words = self._cards(given, users)
        taking = np.zeros(len(self), dtype=bool)
        taking[users] = True
        heard = self._hear(given, users)
        hearing = self._config.hearing
        reaction = self._user_state.react(rows, mask, words, taking, heard.cost(hearing), heard.willing(hearing))
        result: list[Feedback | None] = [None] * len(self)
        for user in users:
            result[user] = self._live(user, given[user], rows[user], reaction, bool(heard.no_language[user]))
        return result

    def _hear(self, given: Mapping[int, Turn], users: Sequence[int]) -> Heard:
        """What each of the ``users`` makes of the words it is given; of all others nothing."""
        everyone = Heard.nothing(len(self))
        if self._config.hearing.judged:
            turns = [given[user] for user in users]
            heard = hear(turns, [self.dialogues[user] for user in users], self._catalog, self._sense)
            everyone.no_language[users] = heard.no_language
            everyone.contradictions[users] = heard.contradictions
            everyone.ignored[users] = heard.ignored
        for user in users:
            told = everyone.no_language[user], everyone.contradictions[user], everyone.ignored[user]
            self._heard[user].append((bool(told[0]), int(told[1]), bool(told[2])))
        return everyone

    def _cards(
        self, given: Mapping[int, Turn], users: Sequence[int]
    ) -> tuple[Ints64, npt.NDArray[np.bool_], npt.NDArray[np.float64]]:
        """rows, mask [n, K] and words [n] of the agent turns."""
        slates = {user: slate.items for user in users if (slate := given[user].slate) is not None}
        width = max((len(items) for items in slates.values()), default=0) or 1
        rows = np.zeros((len(self), width), dtype=np.int64)
        mask = np.zeros((len(self), width), dtype=bool)
        words = np.zeros(len(self))
        for user, items in slates.items():
            rows[user, : len(items)] = [self._catalog.index(item) for item in items]
            mask[user, : len(items)] = True
        for user in users:
            words[user] = len(given[user].text.split())
        return rows, mask, words

    def _live(self, user: int, turn: Turn, rows: Ints64, reaction: Reaction, puzzled: bool) -> Feedback:
        """Write down one user's step: hidden utility, end, feedback, and the two turns."""
        speaker_state = self._speaker_states[user]
        accepted, left = int(reaction.accepted[user]), bool(reaction.left[user])
        self._hidden[user].append(float(reaction.hidden[user]))
        if accepted >= 0:
            self._accepted_value[user] = reaction.utility[user, accepted]
        if accepted >= 0 or left:
            self.ended[user] = "accepted" if accepted >= 0 else "left"
            self.active[user] = False
        utterances = self._utterances(user, turn, rows, reaction, puzzled)
        latency = float(reaction.latency_s[user]) if utterances else None
        before = speaker_state.last_sentiment
        shown = turn.slate is not None and len(turn.slate.items) > 0
        clicked = tuple(self._catalog.items[row].id for row in rows[reaction.clicked[user]])
        self._clock[user] += len(turn.text.split()) / READING_WPS
        dialogue = self.dialogues[user]
        self.dialogues[user] = dialogue.then(turn)  # the answer may name what was shown just now
        after = self._answer(user, utterances, latency or 0.0) if utterances else None
        feedback = Feedback(
            dwell_s=float(reaction.dwell_s[user]),
            scroll_depth=float(reaction.scroll[user]),
            clicked=clicked if shown else None,
            latency_s=latency,
            sentiment_before=before,
            sentiment_after=after,
            accepted=accepted >= 0 if shown else None,
            left=left,
            device="mobile" if self._people.mobile[user] else "desktop",
        )
        observed = replace(turn, feedback=feedback, time_s=float(self._clock[user]) - (latency or 0.0))
        answer = self.dialogues[user].turns[len(dialogue.turns) + 1 :]
        self.dialogues[user] = dialogue.then(observed, *answer)
        return feedback

    def _utterances(self, user: int, turn: Turn, rows: Ints64, reaction: Reaction, puzzled: bool) -> list[Utterance]:
        """What the user voices now; empty when it leaves without a word."""
        if self.ended[user] == "accepted":
            item = int(rows[reaction.accepted[user]])
            thanks = [Utterance("thanks", "positive")] if self._words.random() < 0.5 else []
            return [Utterance("accept", "positive", title=item), *thanks]
        if self.ended[user] == "left":
            return (
                []
                if self._words.random() < SILENT
                else [Utterance("critique", "negative"), Utterance("bye", "neutral")]
            )
        if puzzled:
            return [Utterance("puzzled", "negative")]
        looked = np.flatnonzero(reaction.examined[user])
        return wording.utterances_for(
            self._speaker_states[user],
            self._speaker.attributes,
            [int(row) for row in rows[looked]],
            [float(u) for u in reaction.utility[user, looked]],
            [bool(r) for r in reaction.repeated[user, looked]],
            float(self._user_state.mood[user]),
            "?" in turn.text,
            self._words,
            self._user_state.tuning.voices,
            self._shown_before(user),
        )

    def _shown_before(self, user: int) -> int | None:
        """The film that the agent showed first, when it last showed one."""
        slates = (turn.slate.items for turn in reversed(self.dialogues[user].turns) if turn.slate)
        return next((self._catalog.index(items[0]) for items in slates if items), None)

    def _answer(self, user: int, utterances: Sequence[Utterance], latency_s: float = 0.0) -> float:
        """Append the user's words, drawn again where they give a target away; returns their sentiment."""
        dialogue = self.dialogues[user]
        mentioned = dialogue.mentioned()
        hidden = [item for item in self._targets[user] if item not in mentioned]
        self._clock[user] += latency_s

        def say() -> Reply:
            return self._speaker.say(self._speaker_states[user], utterances, hidden, mentioned, self._words)

        reply = self._without_leak(say, hidden, mentioned) if self._config.audit else say()
        self.dialogues[user] = dialogue.then(user_turn(reply, self._catalog, float(self._clock[user])))
        self._speaker_states[user].last_sentiment = reply.sentiment
        return reply.sentiment

    def _without_leak(self, say: Callable[[], Reply], hidden: Sequence[str], mentioned: Sequence[str]) -> Reply:
        """What the user says, drawn until it gives nothing away: what simulated users let slip is no one's to mend."""
        for _ in range(REDRAWS):
            reply = say()
            if not self._leaks(reply, hidden, mentioned):
                return reply
            self._redrawn += 1
        unsure = Reply(self._speaker.speech.voice.unsure, (), 0.0)
        return Reply("…", (), 0.0) if self._leaks(unsure, hidden, mentioned) else unsure

    def _leaks(self, reply: Reply, hidden: Sequence[str], mentioned: Sequence[str]) -> bool:
        named = [self._catalog.items[row].id for row in reply.mentions]
        leak = self._speaker.auditor.find(reply.text, hidden, allowed=[*mentioned, *named])
        return leak is not None or any(item in hidden for item in named)


@dataclass(frozen=True)
class UserWorld:
    """Tastes, voices and calibration. ``start`` draws fresh users; two worlds with one fit are equal."""

    catalog: Catalog
    config: UsersConfig
    taste: Taste
    speech: Speech
    tuning: Tuning
    rows: tuple[CalibrationRow, ...]
    speaker: Speaker
    sense: LanguageSense | None = None  # None: the training dialogues hold too few replies to tell language by

    @classmethod
    def fit(cls, catalog: Catalog, train: Sequence[Dialogue], config: UsersConfig, seed: int) -> UserWorld:
        """Fit tastes, mine speech, calibrate. ``catalog`` carries its training counts."""
        taste = fit_taste(catalog, train, config.taste, seed)
        phrases = Phrases.of(catalog, train, config.phrases)
        speech = mine(catalog, train, np.random.default_rng(seed), phrases)
        tuning, rows = calibrate(
            catalog, train, taste, config.people, config.behaviour, seed, phrases.rules if phrases.english else ()
        )
        sense = LanguageSense.fit(catalog, train, seed) if config.hearing.judged else None
        if config.hearing.judged and sense is None:
            log.warning("prepare: too few replies to tell language from gibberish: simulated users take any words")
        return cls(catalog, config, taste, speech, tuning, rows, _speaker(catalog, speech), sense)

    def start(self, n: int, generator: np.random.Generator, ids_prefix: str = "") -> Crowd:
        """n fresh users, each with its opening utterance said. The same generator state gives the same users."""
        people = draw_people(self.taste, self.config.people, n, generator)
        parts = self.catalog, self.speaker, people, self.taste, self.config, self.tuning
        return Crowd(*parts, generator, ids_prefix, self.sense)

    def calibration(self) -> tuple[CalibrationRow, ...]:
        """(quantity, unit, data, simulated, emulated, source) rows for the report."""
        return self.rows

    def save(self, folder: str | Path) -> None:
        """taste.safetensors, world.json, and language.safetensors where users have a sense of language."""
        state = {
            "config": asdict(self.config),
            "tuning": asdict(self.tuning),
            "calibration": rows_to_json(self.rows),
            "speech": self.speech.to_json(),
            "voice": asdict(self.speech.voice),
        }
        world_files.write(Path(folder), self.catalog, state, self.taste, self.sense)

    @classmethod
    def load(cls, folder: str | Path, catalog: Catalog) -> UserWorld:
        """``InputError`` where a file is missing, damaged, or of another catalogue."""
        source = Path(folder)
        state = world_files.read_state(source)
        with says_when_damaged(source, "fit the users again (delete the folder, run `tacit sft`)."):
            taste, sense = world_files.read_models(source, state, catalog)
            speech = Speech.from_json(state["speech"], Voice(**state["voice"]) if "voice" in state else None)
            rows = tuple(CalibrationRow(**row) for row in state["calibration"])
            config, tuning = UsersConfig.of(state["config"], world_files.hears(state)), Tuning.of(state["tuning"])
            return cls(catalog, config, taste, speech, tuning, rows, _speaker(catalog, speech), sense)


def _speaker(catalog: Catalog, speech: Speech) -> Speaker:
    return Speaker(catalog, speech, ItemAttributes.of(catalog), auditor(catalog))
