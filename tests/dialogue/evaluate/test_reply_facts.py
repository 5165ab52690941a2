from __future__ import annotations

import polars as pl

from tacit.catalog import Catalog
from tacit.dialogue.evaluate.replies import FACTS, SCHEMA, _facts, reply_rows
from tacit.types import Dialogue, Item, Slate, Turn


def table(counts: list[tuple[int, int, int]], human: tuple[int, int, int]) -> pl.DataFrame:
    rows = []
    for i, (good, open_, wrong) in enumerate(counts):
        said = {"reply_supported": good, "reply_unsupported": open_, "reply_contradicted": wrong}
        control = dict(
            zip(("reference_supported", "reference_unsupported", "reference_contradicted"), human, strict=True)
        )
        place = {"dialogue": f"d{i}", "user": f"u{i}", "turn": 1, "context": "user: hi", "slate": []}
        words = {"reply": "yes it is", "reference": "no it is not", "named": 0, "outside": 0, "finished": True}
        rows.append({**place, **words, **said, **control})
    return pl.DataFrame(rows, schema=SCHEMA)


def test_means_a_reply_and_the_human_control_by_hand() -> None:
    rows = reply_rows({"sft": table([(1, 0, 2), (0, 1, 0)], (3, 0, 1))}, [], "logs", 20, 0)
    values = {(row.model, row.metric): row.value for row in rows if row.metric in FACTS.values()}
    assert values == {
        ("sft", "supported facts a reply"): 0.5,
        ("sft", "unsupported facts a reply"): 0.5,
        ("sft", "contradictions a reply"): 1.0,
        ("human", "supported facts a reply"): 3.0,
        ("human", "unsupported facts a reply"): 0.0,
        ("human", "contradictions a reply"): 1.0,
    }


def test_replies_of_before_have_no_such_rows() -> None:
    old = table([(1, 0, 0)], (0, 0, 0))
    old = old.drop([name for name in old.columns if name.startswith(("reply_", "reference_"))])
    assert not [row for row in reply_rows({"sft": old}, [], "logs", 20, 0) if row.metric in FACTS.values()]


def test_a_turn_is_counted_after_what_was_said_before_it() -> None:
    catalog = Catalog([Item("a", "Heat (1995)", "Heat (1995).", {"year": ("1995",), "director": ("michael mann",)})])
    shown = Turn("agent", "Heat (1995)?", ("a",), Slate(("a",)))
    dialogue = Dialogue("d", "u", (shown, Turn("user", "Who made it?"), Turn("agent", "Michael Mann directed it.")))
    counts = _facts("reply", dialogue.turns[2], dialogue, 2, catalog)
    assert counts == {"reply_supported": 1, "reply_unsupported": 0, "reply_contradicted": 0}
