"""Who is resampled: the person where persons recur, else the dialogue, and the unit says which."""

from __future__ import annotations

import polars as pl
import pytest

from tacit.dialogue.evaluate.ranking import rank_rows
from tacit.dialogue.evaluate.replies import reply_rows
from tacit.dialogue.evaluate.title_writer import literal_rows
from tacit.metrics.persons import persons

DIALOGUES = ["a", "a", "b", "c", "d"]


def table(*users: str) -> pl.DataFrame:
    return pl.DataFrame({"dialogue": DIALOGUES} | ({"user": list(users)} if users else {}))


@pytest.mark.parametrize(
    ("dataset", "users", "unit"),
    [
        ("redial", ("s", "s", "t", "s", "t"), "seekers"),
        ("redial", ("s", "s", "s", "s", "s"), "seekers"),  # one seeker is one seeker
        ("logs", ("s", "s", "t", "s", "t"), "users"),
        ("logs", ("a", "a", "b", "c", "d"), "dialogues"),  # nobody comes back
        ("logs", ("x", "x", "x", "x", "x"), "dialogues"),  # a placeholder names nobody
        ("opendialkg", ("user-a", "user-a", "user-b", "user-c", "user-d"), "dialogues"),
        ("redial", (), "dialogues"),  # a table of before the column
    ],
)
def test_the_unit_follows_the_data(dataset: str, users: tuple[str, ...], unit: str) -> None:
    found = persons([table(*users)], dataset)
    assert found.unit == unit
    assert found.groups.tolist() == (DIALOGUES if unit == "dialogues" else list(users))


def test_one_table_of_several_that_names_the_users_is_enough() -> None:
    """An evaluation that an older version began."""
    found = persons([table(), table("s", "s", "t", "s", "t")], "logs")
    assert found.unit == "users" and found.groups.tolist() == ["s", "s", "t", "s", "t"]


def cases(named: bool) -> pl.DataFrame:
    """40 dialogues of eight persons; a person's cases are all hits or all misses."""
    rank = [1 if person < 4 else 500 for person in range(8) for _ in range(5)]
    columns: dict[str, object] = {
        "dialogue": [f"d{i}" for i in range(40)],
        "turn": [1] * 40,
        "item": ["x"] * 40,
        "repeated": [False] * 40,
    }
    for protocol in ("redial-standard", "sampled-99"):
        columns |= {protocol: rank, f"{protocol}/masked": rank}
    people = {"user": [f"p{i // 5}" for i in range(40)]} if named else {}
    return pl.DataFrame(columns | people)


def test_ranks_by_person_have_wider_levels_than_by_dialogue() -> None:
    widths = {}
    for named in (True, False):
        rows = rank_rows({"sft": cases(named)}, (), 900, "redial", 400, 0)
        row = next(row for row in rows if (row.name, row.slice, row.protocol) == ("HR@5", "all", "redial-standard"))
        assert row.value == 0.5 and (row.n, row.clusters) == (40, 8 if named else 40)
        assert row.unit == ("seekers" if named else "dialogues")
        assert row.ends is not None
        widths[named] = row.ends[1] - row.ends[0]
    assert widths[True] > 1.8 * widths[False]


@pytest.mark.parametrize("named", [True, False])
def test_replies_and_written_titles_name_their_unit_too(named: bool) -> None:
    texts = [f"you may like film number {i}" for i in range(40)]
    columns = {"reply": texts, "reference": texts[::-1], "named": [1] * 40, "outside": [0] * 40}
    table = cases(named).with_columns(**{name: pl.Series(values) for name, values in columns.items()})
    table = table.with_columns(titles=pl.lit(2), unlinked=pl.Series([0, 1] * 20))
    unit = ("seekers", 8) if named else ("dialogues", 40)
    tables = {"sft": table, "ppo": table}
    replies = reply_rows(tables, (("ppo", "sft"),), "redial", 50, 0)
    with_interval = [row for row in replies if "BLEU" in row.metric]
    assert len(with_interval) == 5 and {(row.unit, row.clusters) for row in with_interval} == {unit}
    assert {row.unit for row in replies if "BLEU" not in row.metric} == {""}
    (written,) = literal_rows({"literal": table}, "redial", 50, 0)
    assert (written.unit, written.clusters, written.n) == (*unit, 80)
