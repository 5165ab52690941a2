"""Sort rules by hand: what comes first, what is left to the file, and what cannot be asked for."""

from __future__ import annotations

import pytest
from tiny_ratings import ratings

from tacit.rerank.lists.order import choose_rule, in_order, possible_rules, tied_share
from tacit.types import InputError

# 2000-01-01 15:59:59 UTC is the last second of that day in Shanghai (UTC+8).
MIDNIGHT = 946_742_400
TIMED = ratings(
    [(0, 3, 5, MIDNIGHT, None), (0, 2, 5, MIDNIGHT - 1, None), (1, 9, 5, 7, None), (0, 1, 5, MIDNIGHT - 2, None)], 10
).frame
RANKED = ratings([(0, 4, 5, None, None), (0, 3, 5, None, 2), (0, 2, 5, None, None), (0, 1, 5, None, 1)], 10).frame


def items(rule: str, timezone: str = "Asia/Shanghai") -> list[int]:
    return in_order(TIMED, rule, timezone)["item"].to_list()


def test_each_rule_by_hand() -> None:
    assert items("second") == [1, 2, 3, 9]
    assert items("day") == [2, 1, 3, 9]  # 1 and 2 on one day, in file order; 3 on the next
    assert items("day", "UTC") == [3, 2, 1, 9]  # all on one day
    assert items("file") == [3, 2, 1, 9]


def test_interactions_without_a_rank_come_last_in_file_order() -> None:
    assert in_order(RANKED, "rank", "UTC")["item"].to_list() == [1, 3, 4, 2]


def test_the_best_rule_is_taken_and_an_impossible_one_refused() -> None:
    assert possible_rules(TIMED) == ("second", "day", "file")
    assert possible_rules(RANKED) == ("rank", "file")
    assert choose_rule(TIMED, "auto") == "second"
    assert choose_rule(RANKED, "auto") == "rank"
    assert choose_rule(TIMED, "day") == "day"
    for frame, sort in ((TIMED, "rank"), (RANKED, "day"), (TIMED, "newest")):
        with pytest.raises(InputError, match="choose one of auto"):
            choose_rule(frame, sort)
    untimed = ratings([(0, 1, 5, None, None), (0, 2, 5, 7, None)], 10).frame
    with pytest.raises(InputError, match="set lists"):
        choose_rule(untimed, "auto")
    with pytest.raises(InputError, match="Middle-earth"):
        in_order(TIMED, "day", "Middle-earth")


def test_tied_share_counts_both_neighbours_within_a_user() -> None:
    assert tied_share(in_order(TIMED, "second", "UTC")) == 0
    assert tied_share(in_order(TIMED, "day", "Asia/Shanghai")) == 2 / 4
    assert tied_share(in_order(TIMED, "day", "UTC")) == 3 / 4  # user 1 is alone
    assert tied_share(in_order(RANKED, "rank", "UTC")) == 2 / 4  # the two without a rank
    assert tied_share(TIMED.head(0).with_columns(key=0)) == 0


def test_equal_interactions_keep_the_file_order_in_long_files_too() -> None:
    rows = [(place % 3, place, 5, (place * 7919) % 4, None) for place in range(5000)]
    found = in_order(ratings(rows, 10).frame, "second", "UTC")["item"].to_list()
    assert found == [row[1] for row in sorted(rows, key=lambda row: (row[0], row[3]))]  # sorted is stable
