from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hidden_users import targets

from tacit.catalog import Catalog
from tacit.data.dialogues import synthetic
from tacit.dialogue.users import oracle
from tacit.dialogue.users.crowd import Crowd, UsersConfig, UserWorld
from tacit.dialogue.users.hearing import Heard, HearingConfig, hear
from tacit.run.manifest import seal
from tacit.types import Dialogue, Feedback, Slate, Turn

Words = Callable[[str], str]  # a title → what is said of it


@pytest.fixture(scope="module")
def town() -> UserWorld:
    catalog, split = synthetic.load_training(0)
    return UserWorld.fit(catalog, split.train, UsersConfig(), seed=0)


def clear(title: str) -> str:
    return f"Have you seen {title}?"


def gibberish(title: str) -> str:
    return f"seen of the you evening {title} a great"


def test_costs_by_hand() -> None:
    heard = Heard(np.array([False, True, False, False]), np.array([0, 2, 5, 1]), np.array([False, True, True, False]))
    config = HearingConfig(no_language=0.3, contradiction=0.1, most_contradictions=3, ignored=0.2)
    assert heard.cost(config) == pytest.approx([0.0, 0.3, 0.5, 0.1])
    assert heard.willing(config) == pytest.approx([1.0, 0.0, 1.0, 1.0])
    assert Heard.nothing(2).cost(config) == pytest.approx([0.0, 0.0])


def talk(world: UserWorld, words: Words, turns: int = 3, users: int = 60) -> tuple[Crowd, list[Feedback]]:
    """Everybody is shown its three best unseen films, with ``words`` about the first."""
    crowd = world.start(users, np.random.default_rng(5), "u")
    best, observed = targets(crowd), []
    for t in range(turns):
        given = {}
        for user in map(int, np.flatnonzero(crowd.active)):
            items = best[user][3 * t : 3 * t + 3]
            given[user] = Turn("agent", words(world.catalog[items[0]].title), items, Slate(items))
        observed += [feedback for feedback in crowd.step(given) if feedback is not None]
    return crowd, observed


def test_gibberish_is_not_bought_from_and_leaves_nobody_happy(town: UserWorld) -> None:
    (pleased, _), (puzzled, observed) = talk(town, clear), talk(town, gibberish)
    assert pleased.ended.count("accepted") > 20 and puzzled.ended.count("accepted") == 0
    gap = oracle.read(pleased).total - oracle.read(puzzled).total
    assert gap.min() > 0.0 and gap.mean() > 0.25
    assert puzzled.ended.count("left") > pleased.ended.count("left")
    stayed = [feedback for feedback in observed if not feedback.left]
    assert stayed and all(feedback.sentiment_after == -0.3 for feedback in stayed)
    assert any("makes no sense" in dialogue.turns[-1].text for dialogue in puzzled.dialogues)


def test_a_contradiction_costs_its_share_of_the_first_step(town: UserWorld) -> None:
    def wrong(title: str) -> str:
        return f"Have you seen {title}? It is from 1931."

    def right(title: str) -> str:
        return f"Have you seen {title}? It is from {title[-5:-1]}."

    (honest, _), (liar, _) = talk(town, right, turns=1), talk(town, wrong, turns=1)
    assert {told for steps in oracle.read(liar).heard for _, told, _ in steps} == {1}
    gap = np.array(oracle.read(honest).steps)[:, 0] - np.array(oracle.read(liar).steps)[:, 0]
    assert gap == pytest.approx(np.full(len(gap), 0.1))


def test_an_unanswered_question_is_heard(town: UserWorld) -> None:
    item = town.catalog.items[0]
    shown = Turn("agent", clear(item.title), (item.id,), Slate((item.id,)))
    context = Dialogue("d", "u", (shown, Turn("user", "Who directed it?")))
    director = item.attributes["director"][0].title()
    turns = [Turn("agent", f"It was made by {director}."), Turn("agent", "It is a great film.")]
    heard = hear(turns, [context, context], town.catalog, town.sense)
    assert heard.ignored.tolist() == [False, True]


def test_users_who_judge_nothing_are_those_of_before(town: UserWorld) -> None:
    deaf = UsersConfig(hearing=HearingConfig(judged=False))
    free = UsersConfig(hearing=HearingConfig(no_language=0.0, contradiction=0.0, ignored=0.0, accepts_gibberish=1.0))
    parts = town.catalog, town.taste, town.speech, town.tuning, town.rows, town.speaker
    crowds = [talk(UserWorld(parts[0], config, *parts[1:], town.sense), gibberish)[0] for config in (deaf, free)]
    assert oracle.read(crowds[0]).steps[0][0] == oracle.read(crowds[1]).steps[0][0]
    assert crowds[0].ended.count("accepted") > 20
    assert not any("makes no sense" in dialogue.turns[-1].text for dialogue in crowds[0].dialogues)


def test_what_is_heard_stays_after_saving(town: UserWorld, tmp_path: Path) -> None:
    town.save(tmp_path)
    loaded = UserWorld.load(tmp_path, town.catalog)
    assert loaded.config == town.config and loaded.sense is not None
    assert talk(loaded, gibberish)[0].dialogues == talk(town, gibberish)[0].dialogues


def test_users_saved_before_they_heard_anything_stay_deaf(town: UserWorld, tmp_path: Path) -> None:
    town.save(tmp_path)
    state = json.loads((tmp_path / "world.json").read_text(encoding="utf-8"))
    del state["language"], state["config"]["hearing"], state["voice"]["puzzled"]
    (tmp_path / "world.json").write_text(json.dumps({**state, "form": "tacit-users-1"}), encoding="utf-8")
    (tmp_path / "language.safetensors").unlink()
    seal(tmp_path)
    old = UserWorld.load(tmp_path, town.catalog)
    assert old.sense is None and not old.config.hearing.judged
    assert talk(old, gibberish)[0].ended.count("accepted") > 20


def test_without_enough_replies_any_words_are_language(
    catalog: Catalog, dialogues: Sequence[Dialogue], caplog: pytest.LogCaptureFixture
) -> None:
    world = UserWorld.fit(catalog, dialogues[:12], UsersConfig(), seed=0)
    assert world.sense is None and "too few replies" in caplog.text
    heard = hear([Turn("agent", "blip blop")], [Dialogue("d", "u", ())], catalog, world.sense)
    assert not heard.no_language[0]
