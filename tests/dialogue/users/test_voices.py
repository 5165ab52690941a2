"""How often users say what of a film: rates counted by hand, bases that give them, and conversations that show them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from tacit.catalog import Catalog
from tacit.dialogue.users import voices
from tacit.dialogue.users.acts import decisions
from tacit.dialogue.users.crowd import UserWorld
from tacit.dialogue.users.user_state import Tuning
from tacit.dialogue.users.voices import KINDS, Voices, fit, observed
from tacit.dialogue.users.wording import utterances_for
from tacit.types import Dialogue, Slate, Turn


def test_rates_are_counted_of_seekers_who_stay(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    film = catalog.items[0]
    shown = Turn("agent", f"Try {film.title}", (film.id,), Slate((film.id,)))
    talk = (
        Turn("user", "hi"), Turn("agent", "hello"), Turn("user", "a western"),  # nothing shown yet
        shown, Turn("user", "Who is in it?"),
        Turn("agent", "A horse."), Turn("user", "It sounds good."),
        shown, Turn("user", "I don't like it."),
        shown, Turn("user", "bye"),
    )  # fmt: skip
    moments = list(decisions(Dialogue("d", "u", talk), catalog))
    assert observed(moments) is None  # too few
    monkeypatch.setattr(voices, "FEWEST", 1)
    rates = observed(moments)
    assert rates is not None
    assert rates[0].tolist() == [0, 0.5, 0, 0.5, 0]
    assert rates[1].tolist() == [0.5, 0.25, 0, 0.25, 0]  # one moment, and one more like those with a film


def test_bases_give_the_rates_and_worth_still_tells() -> None:
    rng = np.random.default_rng(0)
    utility, again = rng.random(400), rng.random(400) < 0.1
    now, earlier = np.array([0.2, 0.05, 0.3, 0.05, 0.4]), np.full(5, 0.2)
    found = fit((now, earlier), utility, again)
    said = np.mean([found.of_film(float(u), bool(a)) for u, a in zip(utility, again, strict=True)], axis=0)
    assert said == pytest.approx(now, abs=1e-4)
    bad, good = found.of_film(0.1, False), found.of_film(0.9, False)
    assert bad[KINDS.index("critique")] > 5 * good[KINDS.index("critique")]
    assert good[KINDS.index("praise")] > bad[KINDS.index("praise")]
    assert found.of_film(0.5, True)[KINDS.index("seen")] > found.of_film(0.5, False)[KINDS.index("seen")]


def test_users_with_voices_speak_by_them(world: UserWorld) -> None:
    crowd = world.start(1, np.random.default_rng(0))
    state, rng = crowd._speaker_states[0], np.random.default_rng(1)
    said: Counter[str] = Counter()
    mine = Voices((0.3, 0.0, 0.7, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0, 0.0))
    for _ in range(300):
        parts = utterances_for(state, world.speaker.attributes, [3], [0.5], [False], 0.0, False, rng, mine)
        said[parts[0].intent] += 1
    assert set(said) == {"praise", "seen"} and said["seen"] / 300 == pytest.approx(0.7, abs=0.1)
    come_back = utterances_for(state, world.speaker.attributes, [], [], [], 0.0, True, rng, mine, before=7)
    assert [(part.intent, part.title) for part in come_back] == [("ask", 7)]


def test_users_saved_without_voices_stay_as_they_were() -> None:
    told = Tuning(voices=Voices((0.2,) * 5, (0.2,) * 5))
    assert Tuning.of({"willing": 0.5}) == Tuning(willing=0.5)
    assert Tuning.of({"voices": {"now": [0.2] * 5, "earlier": [0.2] * 5}}) == told
    assert replace(told, voices=None) == Tuning()
