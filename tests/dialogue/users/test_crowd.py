from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hidden_users import audit_dialogue, first_steps, targets, utilities

from tacit.catalog import Catalog
from tacit.dialogue.users import oracle
from tacit.dialogue.users.crowd import Crowd, UserWorld
from tacit.dialogue.users.wording import Reply
from tacit.types import Dialogue, Feedback, InputError, Slate, Turn

Agent = Callable[[Crowd, int], Turn]


def show(items: Sequence[str], words: int = 10) -> Turn:
    return Turn("agent", "word " * words, tuple(items), Slate(tuple(items)) if items else None)


def fresh(crowd: Crowd, user: int, order: Sequence[str], size: int = 3) -> list[str]:
    seen = set(crowd.dialogues[user].mentioned())
    return [item for item in order if item not in seen][:size]


def converse(crowd: Crowd, agent: Agent, turns: int = 4) -> list[Feedback]:
    observed: list[Feedback] = []
    for _ in range(turns):
        step = crowd.step({int(u): agent(crowd, int(u)) for u in np.flatnonzero(crowd.active)})
        observed += [feedback for feedback in step if feedback is not None]
    return observed


def popular(catalog: Catalog) -> list[str]:
    return [catalog.items[row].id for row in np.argsort(-catalog.counts, kind="stable")]


def start(world: UserWorld, n: int = 150, seed: int = 11) -> Crowd:
    return world.start(n, np.random.default_rng(seed), "u")


def test_same_seed_same_conversation(world: UserWorld, catalog: Catalog, tmp_path: Path) -> None:
    order = popular(catalog)
    world.save(tmp_path / "users")
    loaded = UserWorld.load(tmp_path / "users", catalog)
    crowds = [start(world, 20), start(world, 20), start(loaded, 20), start(world, 20, seed=12)]
    for crowd in crowds:
        converse(crowd, lambda c, u: show(fresh(c, u, order)))
    assert crowds[0].dialogues == crowds[1].dialogues == crowds[2].dialogues
    assert crowds[0].dialogues != crowds[3].dialogues
    assert world.calibration() == loaded.calibration() and world.config == loaded.config


def test_one_users_luck_does_not_hang_on_anothers_turn(world: UserWorld, catalog: Catalog) -> None:
    order = popular(catalog)
    left, right = start(world, 2), start(world, 2)
    a = left.step([show(order[:3]), show(order[:3])])[0]
    b = right.step([show(order[:3]), None])[0]
    assert a is not None and b is not None
    assert (a.dwell_s, a.clicked, a.scroll_depth) == (b.dwell_s, b.clicked, b.scroll_depth)


def test_a_step_writes_both_turns_and_what_was_observed(world: UserWorld, catalog: Catalog) -> None:
    crowd = start(world, 30)
    assert all(len(d.turns) == 1 and d.turns[0].speaker == "user" and d.turns[0].text for d in crowd.dialogues)
    observed = crowd.step([show(popular(catalog)[:3])] * 29 + [None])
    assert observed[29] is None and len(crowd.dialogues[29].turns) == 1
    for user, feedback in enumerate(observed[:29]):
        assert feedback is not None
        agent = crowd.dialogues[user].turns[1]
        assert agent.feedback == feedback and feedback.dwell_s is not None and feedback.dwell_s > 0
        silent = len(crowd.dialogues[user].turns) == 2
        assert (feedback.latency_s is None) == silent == (feedback.sentiment_after is None)
        assert feedback.accepted == (crowd.ended[user] == "accepted")
        assert feedback.left == (crowd.ended[user] == "left")
        assert bool(crowd.active[user]) == (crowd.ended[user] is None)
        times = [turn.time_s for turn in crowd.dialogues[user].turns]
        assert times == sorted(times, key=lambda t: t or 0.0)


def test_without_a_slate_clicks_and_acceptance_are_not_observed(world: UserWorld) -> None:
    feedback = start(world, 1).step([Turn("agent", "What do you like?")])[0]
    assert feedback is not None and feedback.clicked is None and feedback.accepted is None


def test_an_item_outside_the_catalogue_is_refused(world: UserWorld) -> None:
    with pytest.raises(InputError, match="nowhere"):
        start(world, 1).step([show(["nowhere"])])


def test_nothing_hidden_is_on_the_public_surface(world: UserWorld) -> None:
    crowd = start(world, 2)
    assert {name for name in vars(crowd) if not name.startswith("_")} == {"active", "ended", "dialogues"}


def test_a_deliberately_bad_recommender_lowers_hidden_utility(world: UserWorld, catalog: Catalog) -> None:
    order = popular(catalog)
    good, bad = start(world), start(world)

    def worst(crowd: Crowd, user: int) -> Turn:
        rows = np.arange(60)[None]
        value = utilities(crowd, np.array([user]), rows)[0]
        return show([catalog.items[row].id for row in np.argsort(value)[:3]])

    converse(good, lambda c, u: show(fresh(c, u, order)))
    converse(bad, worst)
    gap = oracle.read(good).total - oracle.read(bad).total
    assert gap.mean() - 3 * gap.std() / len(gap) ** 0.5 > 0.1
    assert bad.ended.count("left") > good.ended.count("left")


def test_a_length_padding_recommender_raises_dwell_and_not_hidden_utility(world: UserWorld, catalog: Catalog) -> None:
    order = popular(catalog)
    plain, padded = start(world), start(world)
    short = converse(plain, lambda c, u: show(fresh(c, u, order), words=12))
    long = converse(padded, lambda c, u: show(fresh(c, u, order), words=120))
    assert np.mean([f.dwell_s for f in long]) > 1.5 * np.mean([f.dwell_s for f in short])
    assert oracle.read(padded).total.mean() < oracle.read(plain).total.mean()


def test_repeats_and_empty_chat_cost_the_user(world: UserWorld, catalog: Catalog) -> None:
    order = popular(catalog)
    crowds = {"fresh": start(world), "same": start(world), "chat": start(world)}
    converse(crowds["fresh"], lambda c, u: show(fresh(c, u, order)))
    converse(crowds["same"], lambda c, u: show(order[:3]))
    converse(crowds["chat"], lambda c, u: show([]))
    total = {name: float(oracle.read(crowd).total.mean()) for name, crowd in crowds.items()}
    assert total["fresh"] > total["same"] > total["chat"]


def test_what_users_say_tells_what_they_like(world: UserWorld, catalog: Catalog) -> None:
    order = popular(catalog)

    def reader(crowd: Crowd, user: int) -> Turn:
        told = [catalog.index(i) for t in crowd.dialogues[user].turns if t.speaker == "user" for i in t.mentions]
        score = world.taste.items @ world.taste.items[told].mean(0) if told else catalog.counts.astype(float)
        return show(fresh(crowd, user, [catalog.items[row].id for row in np.argsort(-score)]))

    listens, ignores, ceiling = start(world), start(world), start(world)
    goals = targets(ceiling)
    converse(listens, reader)
    converse(ignores, lambda c, u: show(fresh(c, u, order)))
    converse(ceiling, lambda c, u: show(fresh(c, u, goals[u])), turns=1)
    gain = oracle.read(listens).total - oracle.read(ignores).total
    assert gain.mean() - 3 * gain.std() / len(gain) ** 0.5 > 0.05
    assert first_steps(ceiling).mean() > first_steps(listens).mean() + 0.1


def test_warmer_words_follow_better_slates(world: UserWorld) -> None:
    good, bad = start(world), start(world)
    goals = targets(good)
    pleased = converse(good, lambda c, u: show(goals[u][:3]), turns=1)
    annoyed = converse(bad, lambda c, u: show([]), turns=1) and converse(
        bad, lambda c, u: show(["f0", "f0", "f0"]), turns=2
    )

    def warmth(observed: list[Feedback]) -> float:
        return float(np.mean([f.sentiment_after for f in observed if f.sentiment_after is not None]))

    assert warmth(pleased) > warmth(annoyed)


def test_nobody_leaks_a_target(world: UserWorld, catalog: Catalog) -> None:
    crowd = start(world, 200)
    converse(crowd, lambda c, u: show(fresh(c, u, popular(catalog)), words=5))
    for dialogue, hidden in zip(crowd.dialogues, targets(crowd), strict=True):
        audit_dialogue(dialogue, hidden, catalog)


def test_a_line_that_leaks_is_drawn_again_and_counted(
    world: UserWorld, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = start(world, 1)
    title = catalog[targets(crowd)[0][0]].title
    lines = iter([Reply(f"I want {title}", (), 0.0), Reply("", (catalog.index(targets(crowd)[0][1]),), 0.0)])
    monkeypatch.setattr(crowd._speaker, "say", lambda *args: next(lines, Reply("anything good", (), 0.5)))
    crowd._answer(0, [])
    assert crowd.dialogues[0].turns[-1].text == "anything good" and crowd.redrawn == 2


def test_a_user_who_can_only_leak_says_nothing_of_use(
    world: UserWorld, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    crowd = start(world, 1)
    title = catalog[targets(crowd)[0][0]].title
    monkeypatch.setattr(crowd._speaker, "say", lambda *args: Reply(f"I want {title}", (), 0.7))
    assert crowd._answer(0, []) == 0.0
    assert crowd.dialogues[0].turns[-1].text == "I am not sure." and crowd.redrawn == 20
    audit_dialogue(crowd.dialogues[0], targets(crowd)[0], catalog)


def test_a_world_of_another_catalogue_or_a_damaged_one_is_refused(world: UserWorld, tmp_path: Path) -> None:
    world.save(tmp_path)
    with pytest.raises(InputError, match="another catalogue"):
        UserWorld.load(tmp_path, Catalog(world.catalog.items[:59]))
    (tmp_path / "taste.safetensors").write_bytes(b"short")
    with pytest.raises(InputError, match=r"taste\.safetensors is not the file that was saved"):
        UserWorld.load(tmp_path, world.catalog)
    (tmp_path / "manifest.json").unlink()  # earlier versions wrote none
    with pytest.raises(InputError, match="cannot be read"):
        UserWorld.load(tmp_path, world.catalog)
    (tmp_path / "world.json").write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match="damaged"):
        UserWorld.load(tmp_path, world.catalog)
    with pytest.raises(InputError, match="does not exist"):
        UserWorld.load(tmp_path / "no", world.catalog)


def test_totals_by_hand() -> None:
    assert oracle.total([], None, np.nan, 5) == 0.0
    assert oracle.total([0.2, 0.4], None, np.nan, 5) == pytest.approx(0.3)
    assert oracle.total([0.2, 0.4], "left", np.nan, 5) == pytest.approx(0.6 / 5)
    assert oracle.total([0.2, 0.4], "accepted", 0.9, 5) == pytest.approx((0.6 + 3 * 0.9) / 5)
    assert oracle.total([0.1] * 6, "left", np.nan, 5) == pytest.approx(0.1)


def test_only_simulated_users_have_an_oracle() -> None:
    with pytest.raises(TypeError, match="simulated"):
        oracle.read([Dialogue("d", "u", ())])
