"""From a log to a verdict: traps, wrong probabilities, and small versions of benchmarks/ope_coverage.py."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from tacit.offpolicy import Log, Settings, evaluate
from tacit.offpolicy import estimators as e
from tacit.offpolicy.checks import inverse_counts, one_probability, recount
from tacit.offpolicy.evaluate import estimators
from tacit.offpolicy.inference import MOST_GROUPS, intervals
from tacit.offpolicy.ratios import place_ratios, prefix_ratios, slate_ratios
from tacit.offpolicy.reward_model import cross_fitted
from tacit.offpolicy.worlds import FAULTS, Fault, World, corrupted, draw, probabilities
from tacit.slates import Mixture
from tacit.slates import probabilities as of_one_slate
from tacit.types import InputError

FAST = Settings(draws=200)


def world(
    seed: int = 0, knows: float = 0.4, n: int = 2000, rewards: str = "cascade"
) -> tuple[World, Log, float, float]:
    """(world, log, value of what was served, value of the target); ``knows`` of the target, 0 of what was served."""
    generator = np.random.default_rng(seed)
    made = World.random(generator, rewards=rewards)  # type: ignore[arg-type]
    logged = made.policy(generator)
    target = logged + knows * made.strength
    return made, made.log(logged, target, n, generator), made.value(logged, 0.1), made.value(target, 0.1)


def test_worlds_draw_as_slates_do() -> None:
    generator = np.random.default_rng(1)
    logits = generator.normal(size=(5, 6))
    slates, drawn, _ = draw(logits, 3, 0.2, generator)
    assert drawn == pytest.approx(probabilities(logits, slates, 0.2))
    for row in range(5):
        assert drawn[row] == pytest.approx(of_one_slate(logits[row], slates[row].tolist(), Mixture(epsilon=0.2)))


def test_the_value_of_a_world_is_what_it_earns() -> None:
    _, log, served, _ = world(n=40_000)
    assert log.slate_rewards.mean() == pytest.approx(served, abs=4 * log.slate_rewards.std() / 200)


def test_a_better_and_a_worse_policy_are_told() -> None:
    for knows, said in ((0.6, "better"), (-0.6, "worse")):
        _, log, served, truth = world(knows=knows)
        found = evaluate(log, FAST)
        assert found.verdict == said, found.because
        for name in ("SNIPS", "snRIPS", "cascade-DR"):
            assert found.estimates[name].low < truth < found.estimates[name].high
        assert found.logged_value.low < served < found.logged_value.high
        assert (found.rounds, found.loggers) == (2000, ("served",))


def test_a_policy_judged_by_its_own_log_is_not_told_apart() -> None:
    _, log, _, _ = world()
    found = evaluate(log.on_itself(), FAST)
    assert found.verdict == "not told apart"
    for name in ("IPS", "SNIPS", "RIPS", "snRIPS"):
        difference = found.differences[name]
        assert (difference.value, difference.low, difference.high) == (0.0, 0.0, 0.0), name
    assert found.diagnostics.ess == pytest.approx(found.rounds)
    assert all(check.passed is not False for check in found.checks.values())


def test_the_same_log_gives_the_same_numbers() -> None:
    _, log, _, _ = world(n=300)
    assert evaluate(log, FAST).as_json() == evaluate(log, FAST).as_json()


def test_the_file_says_what_the_gate_reads() -> None:
    _, log, _, _ = world(n=600)
    found = json.loads(json.dumps(evaluate(log, FAST, "v2", "click").as_json(), allow_nan=False))
    assert (found["format"], found["target"], found["reward"], found["rounds"]) == (1, "v2", "click", 600)
    assert set(found["estimates"]["SNIPS"]) == {
        "value", "low", "high", "difference", "difference_low", "difference_high",
    }  # fmt: skip
    assert {"ess", "ess_share", "max_weight_share", "weight_p99", "unsupported_mass", "mean_weight"} <= set(
        found["diagnostics"]
    )
    assert all(set(check) == {"passed", "said"} for check in found["checks"].values())


# --- traps ----------------------------------------------------------------------------------------------------------


def test_dr_with_the_means_of_its_own_rounds_is_dm_whatever_the_propensities() -> None:
    """Σ over rounds of an action of (r − mean) is 0, so that the weights, one an action, have nothing to weigh."""
    generator = np.random.default_rng(2)
    actions = generator.integers(4, size=200)
    rewards = (generator.random(200) < 0.2 + 0.1 * actions).astype(float)
    means = np.array([rewards[actions == a].mean() for a in range(4)])
    target = np.array([0.1, 0.2, 0.3, 0.4])
    dm = float(target @ means)
    for propensities in ([0.25] * 4, [0.7, 0.1, 0.1, 0.1], [0.01, 0.5, 0.4, 0.09]):
        ratio = (target / propensities)[actions][:, None]
        ones, q = np.ones(200), means[actions][:, None]
        dr = e.cascade_dr(ratio, np.ones((200, 1)), rewards[:, None], q, np.full((200, 1), dm), ones)
        assert dr.value == pytest.approx(dm)


def test_cross_fitting_lets_dr_correct_the_reward_model() -> None:
    """One context in which the log says nothing true: the reward model pools contexts, so DM is wrong and DR is not."""
    made, log, _, truth = world(knows=0.8, n=6000, rewards="independent")
    shares = np.zeros((log.n, 3, 8))
    logits = np.log(made.attraction)  # any policy will do for what DM believes
    shares[:, 0] = np.exp(logits[log.contexts.astype(int)])  # type: ignore[union-attr]
    shares /= np.maximum(shares.sum(axis=2, keepdims=True), 1e-9)
    choices = np.broadcast_to(np.arange(8), (log.n, 3, 8))
    judged = replace(log, target_items=choices, target_shares=shares)
    fitted = cross_fitted(judged, np.random.default_rng(0))
    assert fitted.q.std() > 0.0
    residual = np.where(judged.shown, judged.rewards - fitted.q, 0.0)
    by_item = [residual[judged.items == item].sum() for item in range(8)]
    assert max(map(abs, by_item)) > 1e-6  # fitted on the same rounds, unshrunken, each would be 0
    plain = evaluate(log, FAST)
    assert plain.estimates["cascade-DR"].low < truth < plain.estimates["cascade-DR"].high


def test_a_persons_rounds_are_in_one_fold() -> None:
    """A model that saw a person's other rounds would know their taste: 30 persons, each with a reward of their own."""
    persons = np.repeat(np.arange(30), 4)
    rewards = np.repeat(np.random.default_rng(0).normal(size=30), 4)[:, None]
    features = np.eye(30)[persons]
    log = Log(np.full(120, 0.5), np.full(120, 0.5), rewards, users=persons, features=features)
    fitted = cross_fitted(log, np.random.default_rng(0))
    assert abs(np.corrcoef(fitted.q[:, 0], rewards[:, 0])[0, 1]) < 0.5
    alone = cross_fitted(replace(log, users=None), np.random.default_rng(0))
    assert np.corrcoef(alone.q[:, 0], rewards[:, 0])[0, 1] > 0.7


def test_how_often_an_action_was_played_is_a_better_weight_than_its_probability() -> None:
    """Where contexts repeat, what chance did to the counts cancels: a smaller error over 300 logs."""
    generator = np.random.default_rng(3)
    mu, pi = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    worth = np.array([0.2, 0.5, 0.8])
    errors: dict[str, list[float]] = {"probability": [], "share": []}
    for _ in range(300):
        actions = generator.choice(3, size=200, p=mu)
        rewards = (generator.random(200) < worth[actions]).astype(float)
        shares = np.bincount(actions, minlength=3) / 200
        for name, propensities in (("probability", mu), ("share", shares)):
            found = e.ips((pi / propensities)[actions], rewards, np.ones(200)).value
            errors[name].append((found - float(pi @ worth)) ** 2)
    assert np.mean(errors["probability"]) > 1.3 * np.mean(errors["share"])


def test_self_normalised_rips_beats_sips_iips_and_rips_on_a_cascade() -> None:
    errors: dict[str, list[float]] = {}
    generator = np.random.default_rng(4)
    made = World.random(generator)
    logged = made.policy(generator, noise=1.0)
    target = logged + 1.5 * made.strength
    truth = made.value(target, 0.1)
    for _ in range(60):
        for name, terms in estimators(made.log(logged, target, 500, generator)).items():
            errors.setdefault(name, []).append((terms.value - truth) ** 2)
    mean = {name: float(np.mean(squares)) for name, squares in errors.items()}
    assert mean["snRIPS"] < min(mean["IPS"], mean["IIPS"], mean["RIPS"]), mean


def test_probabilities_of_float32_may_add_up_to_more_than_one() -> None:
    shares = np.full(3, 1 / 3, dtype=np.float32)
    assert float(shares.sum(dtype=np.float64)) > 1.0
    whole = np.float32(1.0000001)
    log = Log(np.array([whole, 0.5], dtype=np.float32), np.array([0.5, whole], dtype=np.float32), np.ones((2, 1)))
    assert log.logged.dtype == np.float64
    assert log.logged[0, 0] == 1.0 and log.target[1, 0] == 1.0


def test_clipped_ips_is_not_among_the_estimates() -> None:
    _, log, _, _ = world(n=300)
    assert not any("clip" in name.lower() for name in evaluate(log, FAST).estimates)


# --- wrong probabilities --------------------------------------------------------------------------------------------


def noticed(log: Log) -> str:
    """The check that fails first, "refused" where it is no log, or nothing."""
    try:
        found = evaluate(log, FAST)
    except InputError:
        return "refused"
    return next((name for name, check in found.checks.items() if check.passed is False), "")


def logs(count: int) -> Iterator[tuple[World, Log, np.ndarray, np.ndarray]]:  # type: ignore[type-arg]
    for seed in range(count):
        generator = np.random.default_rng(seed)
        made = World.random(generator)
        logged = made.policy(generator)
        other = logged + 0.7 * generator.normal(size=logged.shape)
        yield made, made.log(logged, logged + 0.3 * made.strength, 2000, generator), other, logged


@pytest.mark.parametrize("fault", FAULTS)
def test_wrong_probabilities_are_noticed(fault: Fault) -> None:
    for _, log, other, logged in logs(5):
        try:
            wrong = corrupted(log, fault, other, logged)
        except InputError:
            continue  # a probability above 1, or rounded to 0
        assert noticed(wrong), fault


def test_halves_and_doubles_within_one_are_noticed_by_the_mean_weight() -> None:
    _, log, _, _ = world()
    for scaled in (0.5 * log.logged, np.where(log.logged < 0.5, 2.0 * log.logged, log.logged)):
        assert evaluate(replace(log, logged=scaled), FAST).checks["mean weight"].passed is False


def test_right_probabilities_are_not_complained_of() -> None:
    assert [noticed(log) for _, log, _, _ in logs(10)] == [""] * 10


def test_a_log_without_chance_is_no_evidence() -> None:
    n = 500
    clicks = np.random.default_rng(0).random((n, 2)) < 0.3
    log = Log(
        logged=np.ones((n, 2)), target=np.full((n, 2), 0.5), rewards=clicks.astype(float), clicks=clicks.astype(float),
        logged_click=np.full((n, 2), 0.3), target_click=np.full((n, 2), 0.3), target_clicks=np.full(n, 0.6),
    )  # fmt: skip
    found = evaluate(log, FAST)
    assert found.verdict == "insufficient evidence"
    assert found.checks["drawn by chance"].passed is False
    assert found.estimates["CIPS"].value == pytest.approx(clicks.sum(axis=1).mean())
    assert found.estimates["CDR"].value == pytest.approx(0.6, abs=0.05)


def test_too_few_effective_rounds_are_no_evidence() -> None:
    _, log, _, _ = world(knows=0.6, n=150)
    found = evaluate(log, FAST)
    assert found.verdict == "insufficient evidence"
    assert "effective rounds; 200 are needed" in " ".join(found.because)


def test_what_was_never_served_is_missed() -> None:
    """The logger drew among 4 of 8 items; the target draws all of them evenly."""
    generator = np.random.default_rng(0)
    n = 4000
    log = Log(np.full(n, 0.25), np.full(n, 0.125), generator.random((n, 1)), users=np.arange(n) // 4)
    found = evaluate(log, FAST)
    assert found.diagnostics.unsupported_mass == pytest.approx(0.5)
    assert found.verdict == "insufficient evidence"
    assert found.checks["mean weight"].passed is False


def test_one_round_of_a_millionth_carries_everything() -> None:
    n = 3000
    logged = np.full(n, 0.5)
    logged[7] = 1e-6
    found = evaluate(Log(logged, np.full(n, 0.5), np.ones((n, 1)), users=np.arange(n)), FAST)
    assert found.diagnostics.ess < 2.0 and found.diagnostics.max_weight_share > 0.99
    assert found.diagnostics.unsupported_mass > 0.99
    assert found.verdict == "insufficient evidence"


def test_a_heavy_tail_is_told() -> None:
    generator = np.random.default_rng(0)
    logged = np.clip((generator.pareto(1.2, size=4000) + 1.0) ** -1, 1e-3, 1.0)
    found = evaluate(Log(logged, np.full(4000, 0.3), np.ones((4000, 1)), users=np.arange(4000)), FAST)
    assert found.diagnostics.tail_index is not None and found.diagnostics.tail_index < 2.0
    assert "tail index" in found.because[-1]


def test_versions_that_tell_different_stories_are_a_red_flag() -> None:
    generator = np.random.default_rng(0)
    n = 2000
    version = np.arange(n) % 2
    rewards = (generator.random(n) < 0.2 + 0.4 * version).astype(float)[:, None]
    log = Log(np.full(n, 0.5), np.full(n, 0.5), rewards, users=np.arange(n), versions=np.array(["v1", "v2"])[version])
    found = evaluate(log, FAST)
    assert found.loggers == ("v1", "v2")
    assert found.checks["versions agree"].passed is False
    assert found.verdict == "insufficient evidence"
    assert found.diagnostics.ess_by_version == pytest.approx({"v1": 1000.0, "v2": 1000.0})


def test_uniform_rounds_are_a_second_opinion() -> None:
    """Half the rounds are drawn evenly from two items, half with .9 and .1, logged as .5: the second half lies."""
    generator = np.random.default_rng(0)
    n = 4000
    uniform = np.arange(n) % 2 == 0
    item = (generator.random(n) < np.where(uniform, 0.5, 0.1)).astype(int)
    rewards = (generator.random(n) < np.where(item == 1, 0.8, 0.2)).astype(float)[:, None]
    log = Log(np.full(n, 0.5), np.full(n, 0.5), rewards, users=np.arange(n), uniform=uniform)
    assert evaluate(log, FAST).checks["uniform rounds"].passed is False
    honest = replace(log, logged=np.where(uniform, 0.5, np.where(item == 1, 0.1, 0.9)))
    assert evaluate(honest, FAST).checks["uniform rounds"].passed is True


def test_draws_are_not_counted_while_a_policy_learns() -> None:
    """Item 1 is likely for a short while only: drawn ten times then, with .5, it was not to be expected 500 times."""
    generator = np.random.default_rng(0)
    n = 1000
    likely = np.where(np.arange(n) < 20, 0.5, 1e-4)
    item = (generator.random(n) < likely).astype(int)
    log = Log(
        np.where(item == 1, likely, 1.0 - likely), np.full(n, 0.5), np.ones((n, 1)),
        contexts=np.zeros(n, dtype=int), items=item[:, None],
    )  # fmt: skip
    assert recount(log)[0].passed is None


def test_one_version_gives_an_item_one_probability() -> None:
    log = Log(
        np.array([0.5, 0.5, 0.25]), np.full(3, 0.5), np.ones((3, 1)), contexts=np.zeros(3), items=np.zeros((3, 1)),
        versions=np.array(["v1", "v1", "v2"]),
    )  # fmt: skip
    assert one_probability(log).passed is True
    found = one_probability(replace(log, versions=np.array(["v1", "v1", "v1"])))
    assert found.passed is False and "In 3 rounds" in found.said
    assert one_probability(replace(log, versions=None)).passed is None  # it may have learnt meanwhile


def test_draws_are_counted_by_hand() -> None:
    """100 rounds, 50 and 50 expected, 70 and 30 drawn: χ² = 400/50 + 400/50 = 16 with one degree of freedom."""
    item = np.array([0] * 70 + [1] * 30)
    log = Log(np.full(100, 0.5), np.full(100, 0.5), np.ones((100, 1)), contexts=np.zeros(100), items=item[:, None])
    check, table = recount(log)
    assert check.passed is False and "chi-square 16, 1 degrees of freedom, p 6e-05" in check.said
    assert table == ((0.5, 100.0, 100.0),)
    even = replace(log, items=np.array([0] * 55 + [1] * 45)[:, None])
    assert recount(even)[0].passed is True


# --- intervals ------------------------------------------------------------------------------------------------------


def test_a_sum_of_inverse_probabilities_beyond_all_rounds_is_noticed_without_contexts() -> None:
    """40 rounds, item a drawn 30 times with 1/2: Σ 1/p is 60 where 40 is the most, Σ (1 − p)/p² is 60, z = 20/√60."""
    item = np.array(["a"] * 30 + ["b"] * 10)
    log = Log(np.full(40, 0.5), np.full(40, 0.5), np.ones((40, 1)), items=item)
    assert stats.norm.sf(20 / np.sqrt(60)) * 2 == pytest.approx(0.0098, abs=1e-4)  # two items: not below 0.001
    assert inverse_counts(log).passed is True
    found = inverse_counts(log.rows(np.tile(np.arange(40), 2)))  # twice as many: z is √2 times as large
    assert found.passed is False and "Item 'a' was drawn 60 times" in found.said and "120 rounds of 80" in found.said
    assert inverse_counts(replace(log, logged=np.where(item == "a", 0.75, 0.25))).passed is True
    assert inverse_counts(replace(log, items=None)).passed is None


def test_wrong_probabilities_that_leave_the_mean_weight_at_1_are_noticed_by_items() -> None:
    """Drawn with 0.6, 0.3, 0.1, written down as 0.5, 0.3, 0.2: 0.6 · 0.45/0.5 + 0.3 · 0.37/0.3 + 0.1 · 0.18/0.2 = 1."""
    generator = np.random.default_rng(0)
    item = generator.choice(3, size=3000, p=[0.6, 0.3, 0.1])
    log = Log(
        np.array([0.5, 0.3, 0.2])[item], np.array([0.45, 0.37, 0.18])[item], generator.random((3000, 1)),
        users=np.arange(3000), items=item,
    )  # fmt: skip
    found = evaluate(log, FAST)
    assert found.checks["mean weight"].passed is True
    assert found.checks["inverse counts"].passed is False and found.verdict == "insufficient evidence"


def test_rounds_that_share_a_session_or_a_person_are_one_group() -> None:
    log = Log(
        np.full(6, 0.5), np.full(6, 0.5), np.ones((6, 1)),
        sessions=np.array(["a", "a", "b", "c", "", ""]), users=np.array(["x", "", "x", "y", None, None]),
    )  # fmt: skip
    assert log.clusters.tolist() == [0, 0, 0, 1, 2, 3]


def test_without_names_each_round_is_its_own_group() -> None:
    assert Log(np.full(3, 0.5), np.full(3, 0.5), np.ones((3, 1))).clusters.tolist() == [0, 1, 2]


def test_persons_who_come_often_make_intervals_wider() -> None:
    persons = np.repeat(np.arange(50), 20)
    rewards = np.repeat(np.random.default_rng(0).random(50), 20)[:, None]
    log = Log(np.full(1000, 0.5), np.full(1000, 0.5), rewards, users=persons)
    alone = replace(log, users=None)
    wide, narrow = evaluate(log, FAST).logged_value, evaluate(alone, FAST).logged_value
    assert wide.high - wide.low > 3.0 * (narrow.high - narrow.low)


def test_many_groups_are_put_together_without_changing_the_interval() -> None:
    n = 3 * MOST_GROUPS
    values = np.random.default_rng(0).random(n)
    terms = {"mean": e.logged_value(values, np.ones(n))}
    found = intervals(terms, {"mean": {"mean": 1.0}}, np.arange(n), np.random.default_rng(0), 400)["mean"]
    assert found.groups == n
    assert (found.high - found.low) / 2 == pytest.approx(1.96 * values.std() / np.sqrt(n), rel=0.1)


def test_intervals_of_a_small_world_cover() -> None:
    """100 logs: between 88 and 100 of the intervals hold the truth (95 ± 3.2 standard errors)."""
    generator = np.random.default_rng(5)
    made = World.random(generator)
    logged = made.policy(generator)
    target = logged + 0.4 * made.strength
    truth, held = made.value(target, 0.1), {"SNIPS": 0, "snRIPS": 0}
    for _ in range(100):
        log = made.log(logged, target, 600, generator)
        decisions, places = np.ones(log.n), place_ratios(log)
        terms = {
            "SNIPS": e.snips(slate_ratios(decisions, places), log.slate_rewards, log.counts),
            "snRIPS": e.snrips(prefix_ratios(decisions, places), log.rewards, log.counts),
        }
        found = intervals(terms, {name: {name: 1.0} for name in terms}, log.clusters, generator, 200)
        for name, estimate in found.items():
            held[name] += estimate.low <= truth <= estimate.high
    assert all(88 <= count <= 100 for count in held.values()), held


# --- what is no log -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"logged": [0.5, 0.0]}, "logged of round 2, place 1 is 0"),
        ({"logged": [0.5, 1.5]}, "above 1"),
        ({"logged": [0.5, -0.7]}, "it looks like a logarithm"),
        ({"target": [0.5, float("nan")]}, "target of round 2, place 1 is nan"),
        ({"target": [0.5, 1.1]}, r"must be in \[0, 1\]"),
        ({"rewards": [[1.0], [float("nan")]]}, "rewards of round 2, place 1"),
        ({"rewards": [[1.0, 2.0], [1.0, 2.0]]}, "rewards has the shape"),
        ({"weight": [0.0, 0.0]}, "above 0 somewhere"),
        ({"logged": [0.5, float("nan")]}, "Round 2 has no logged probability"),
        ({"rewards": [1e300, 0.0]}, "rewards of round 1 is 1e.300 .*count in other units"),
        ({"features": [[0.0, 1.0], [0.0, float("inf")]]}, "features of round 2, column 2 is inf"),
        (
            {"logged": np.full((2, 60), 0.01), "target": np.ones((2, 60)), "rewards": [1.0, 0.0]},
            "in round 1 is 1e120 times likelier",
        ),
        ({"logged_decision": [1.0, 1.0]}, "go together"),
        ({"logged": [], "target": [], "rewards": []}, "no round"),
    ],
)
def test_what_is_no_log_is_refused(fields: dict[str, object], said: str) -> None:
    good: dict[str, object] = {"logged": [0.5, 0.5], "target": [0.5, 0.5], "rewards": [[1.0], [0.0]]}
    with pytest.raises(InputError, match=said):
        Log(**{name: np.array(value) for name, value in {**good, **fields}.items()})
