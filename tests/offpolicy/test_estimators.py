"""Numbers that can be redone by hand, and obp's once."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.offpolicy import estimators as e
from tacit.offpolicy import ratios as r
from tacit.offpolicy.evaluate import estimators
from tacit.offpolicy.log import Log
from tacit.offpolicy.reward_model import Predicted

NAN = float("nan")
# Two rounds of two places. Ratios of places: (2, 1/2) and (1/2, 2); of slates: 1 and 1; prefixes: (2, 1) and (1/2, 1).
TWO = Log(
    logged=np.array([[0.25, 0.50], [0.50, 0.25]]),
    target=np.array([[0.50, 0.25], [0.25, 0.50]]),
    rewards=np.array([[1.0, 0.0], [0.0, 1.0]]),
)


def values(log: Log, predicted: Predicted | None = None) -> dict[str, float]:
    return {name: terms.value for name, terms in estimators(log, predicted).items()}


def test_two_rounds_by_hand() -> None:
    found = values(TWO)
    assert found["logged"] == 1.0
    assert found["IPS"] == pytest.approx((1 * 1 + 1 * 1) / 2)
    assert found["SNIPS"] == pytest.approx(2 / 2)
    assert found["IIPS"] == pytest.approx((2 * 1 + 2 * 1) / 2)  # ρ_1 of round 1, ρ_2 of round 2
    assert found["RIPS"] == pytest.approx((2 * 1 + 1 * 1) / 2)
    assert found["snRIPS"] == pytest.approx(2 / 2.5 + 1 / 2)  # place 1: weights 2 and 1/2; place 2: 1 and 1
    assert found["PI"] == pytest.approx((1.5 + 1.5) / 2)  # 1 + (2 − 1) + (1/2 − 1)
    assert found["snPI"] == pytest.approx(1.0)


def test_one_place_is_the_textbook() -> None:
    log = Log(np.array([0.5, 0.25, 0.25]), np.array([0.1, 0.5, 0.4]), np.array([[1.0], [0.0], [2.0]]))
    found = values(log)  # ratios .2, 2, 1.6
    assert found["IPS"] == pytest.approx((0.2 * 1 + 1.6 * 2) / 3)
    assert found["SNIPS"] == pytest.approx((0.2 * 1 + 1.6 * 2) / 3.8)
    assert found["snRIPS"] == pytest.approx(found["SNIPS"])
    assert found["IIPS"] == found["RIPS"] == pytest.approx(found["IPS"])
    assert "PI" not in found


def test_cascade_dr_by_hand() -> None:
    # Σ_k w_1:k (r_k − q_k) + w_1:k−1 E q_k
    # round 1: 2 (1 − .5) + 1 · .4 + 1 (0 − .2) + 2 · .3 = 1.8
    # round 2: .5 (0 − .5) + 1 · .4 + 1 (1 − .2) + .5 · .3 = 1.1
    q = np.array([[0.5, 0.2], [0.5, 0.2]])
    expected = np.array([[0.4, 0.3], [0.4, 0.3]])
    assert values(TWO, Predicted(q, expected, None))["cascade-DR"] == pytest.approx((1.8 + 1.1) / 2)


def test_the_decision_is_part_of_the_action() -> None:
    """Round 1 recommends (0.5 → 1), round 2 only replies (0.5 → 0): a policy that always recommends."""
    log = Log(
        logged=np.array([[0.5], [NAN]]),
        target=np.array([[0.5], [NAN]]),
        rewards=np.array([[1.0], [NAN]]),
        logged_decision=np.array([0.5, 0.5]),
        target_decision=np.array([1.0, 0.0]),
    )
    assert log.target_recommends.tolist() == [1.0, 1.0]
    assert values(log) == pytest.approx(
        {"logged": 0.5, "IPS": 1.0, "SNIPS": 1.0, "IIPS": 1.0, "RIPS": 1.0, "snRIPS": 1.0}
    )


def test_short_slates_keep_their_ratio_and_earn_nothing_more() -> None:
    log = Log(np.array([[0.5, 0.5], [0.5, NAN]]), np.array([[1.0, 0.25], [0.25, NAN]]), np.array([[1, 1], [1, NAN]]))
    found = values(log)  # prefixes (2, 1) and (.5, .5)
    assert found["RIPS"] == pytest.approx((2 + 1 + 0.5) / 2)
    assert found["snRIPS"] == pytest.approx(2.5 / 2.5 + 1 / 1.5)


def test_counts_weigh_rounds() -> None:
    log = Log(TWO.logged, TWO.target, TWO.rewards, weight=np.array([3.0, 1.0]))
    found = values(log)
    assert found["RIPS"] == pytest.approx((3 * 2 + 1 * 1) / 4)
    assert found["snRIPS"] == pytest.approx(6 / 6.5 + 1 / 4)


def test_rewards_of_whole_slates() -> None:
    log = Log(TWO.logged, TWO.target, np.array([1.0, 3.0]))
    assert values(log) == pytest.approx({"logged": 2.0, "IPS": 2.0, "SNIPS": 2.0, "PI": 3.0, "snPI": 2.0})


def test_clipped_ips_comes_with_what_was_cut() -> None:
    found = e.clipped_ips(np.array([4.0, 1.0]), np.array([1.0, 1.0]), np.ones(2), limit=2.0)
    assert (found.clipped.value, found.unclipped.value) == (1.5, 2.5)
    assert found.cut_share == pytest.approx(2 / 5)


def test_direct_method_is_the_mean_prediction() -> None:
    assert e.direct_method(np.array([0.2, 0.6]), np.array([1.0, 3.0])).value == pytest.approx(0.5)


def test_cips_and_cdr_by_hand() -> None:
    """A deterministic log: the item of place 2 would stand at place 1, looked at twice as often."""
    log = Log(
        logged=np.ones((2, 2)),
        target=np.ones((2, 2)),
        rewards=np.array([[5.0, 0.0], [0.0, 3.0]]),
        logged_click=np.array([[0.4, 0.2], [0.4, 0.2]]),
        target_click=np.array([[0.2, 0.4], [0.2, 0.4]]),
    )
    ratios = r.click_ratios(log)
    assert ratios.tolist() == [[0.5, 2.0], [0.5, 2.0]]
    assert e.cips(ratios, log.rewards, log.counts).value == pytest.approx((0.5 * 5 + 2 * 3) / 2)
    clicks = np.array([[1.0, 1.0], [0.0, 1.0]])
    # worth of a click 2; π gets .6 clicks a round: 1.2 + .5 (5 − 2) + 2 (0 − 2) = −1.3 and 1.2 + 2 (3 − 2) = 3.2
    cdr = e.cdr(ratios, clicks, log.rewards, np.full((2, 2), 2.0), np.full(2, 1.2), log.counts)
    assert cdr.value == pytest.approx((-1.3 + 3.2) / 2)


def test_examination_cancels_attraction() -> None:
    swaps = np.array([[[0.0, 1.0], [1.0, 0.0]]])  # the item of place 1 goes to place 2, and the other way round
    ratios = r.examination_click_ratios(np.array([1.0, 0.5]), swaps, np.array([[True, True]]))
    assert ratios.tolist() == [[0.5, 2.0]]


MU = [
    [0.284, 0.535, 0.35], [0.648, 0.179, 0.375], [0.128, 0.39, 0.727],
    [0.088, 0.491, 0.465], [0.113, 0.54, 0.512], [0.063, 0.331, 0.823],
]  # fmt: skip
PI = [
    [0.441, 0.555, 0.879], [0.213, 0.489, 0.815], [0.107, 0.12, 0.885],
    [0.498, 0.369, 0.366], [0.082, 0.326, 0.493], [0.513, 0.057, 0.323],
]  # fmt: skip
R = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0, 0, 0], [1, 0, 1]]
Q = [
    [0.49, 0.08, 0.11], [0.33, 0.42, 0.28], [0.09, 0.12, 0.23],
    [0.38, 0.33, 0.44], [0.18, 0.45, 0.07], [0.21, 0.26, 0.17],
]  # fmt: skip
Q_TARGET = [
    [0.384977, 0.103202, 0.154888], [0.272264, 0.278977, 0.246623], [0.375171, 0.206286, 0.205836],
    [0.257846, 0.240619, 0.294149], [0.289889, 0.432684, 0.034475], [0.168228, 0.278146, 0.11584],
]  # fmt: skip
# obp 0.5.7, obp.ope.estimators_slate and obp.ope.estimators, on these numbers (its plots need seaborn, left out;
# Python 3.11 with its version limits ignored, numpy 2.4.6). Its IIPS takes what is given as the marginals.
OBP = {
    "IPS": 2.350987135508166,
    "SNIPS": 1.3270012142359686,
    "IIPS": 3.407989018109717,
    "RIPS": 3.561523367007362,
    "snRIPS": 1.5530261153739027,
    "cascade-DR": 3.2229557978204535,
}
OBP_FIRST_PLACE = {"IPS": 2.5591274922260836, "SNIPS": 0.8903857778285026, "DR": 2.0279050907270864}
OBP_FIRST_Q_TARGET = [0.38506534, 0.27226523, 0.37522601, 0.25769023, 0.28990854, 0.16817113]
OBP_DM = 0.29138774739991175


def test_obp_says_the_same() -> None:
    log = Log(np.array(MU), np.array(PI), np.array(R))
    found = values(log, Predicted(np.array(Q), np.array(Q_TARGET), None))
    for name, theirs in OBP.items():
        assert found[name] == pytest.approx(theirs, rel=1e-6), name


def test_obp_says_the_same_of_single_items() -> None:
    log = Log(np.array(MU)[:, 0], np.array(PI)[:, 0], np.array(R)[:, :1])
    q, q_target = np.array(Q)[:, :1], np.array(OBP_FIRST_Q_TARGET)[:, None]
    found = values(log, Predicted(q, q_target, q_target[:, 0]))
    assert found["IPS"] == pytest.approx(OBP_FIRST_PLACE["IPS"])
    assert found["SNIPS"] == pytest.approx(OBP_FIRST_PLACE["SNIPS"])
    assert found["cascade-DR"] == pytest.approx(OBP_FIRST_PLACE["DR"], rel=1e-6)
    assert found["DM"] == pytest.approx(OBP_DM, rel=1e-6)


def test_a_log_judged_by_itself_earns_what_it_earned() -> None:
    found = values(TWO.on_itself())
    assert set(found.values()) == {1.0}
