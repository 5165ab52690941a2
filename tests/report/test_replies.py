"""Example replies in the report: chosen by place, whole messages only, nothing of the data taken as markup."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from tacit.report.dialogue.replies import beside, side_by_side


def table(model: str, turns: range) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "dialogue": ["d"] * len(turns),
            "turn": list(turns),
            "context": [f"user: hello\nuser: message <{t}>" for t in turns],
            "reply": [f"{model} to {t}" for t in turns],
            "reference": [f"person to {t}" for t in turns],
        }
    )


def test_ten_messages_at_equal_distances_that_all_models_answered() -> None:
    """Turns 0 to 39 and 20 to 59: twenty in both, of which every second is shown."""
    page = side_by_side({"ppo": table("ppo", range(40)), "sft": table("sft", range(20, 60))}, "the recommender")
    shown = [t for t in range(60) if f"person to {t}<" in page]
    assert shown == list(range(20, 40, 2))
    assert "message &lt;20&gt;" in page and "message <20>" not in page
    assert page.index("sft to 20") < page.index("ppo to 20"), "before stands left of after"


def test_of_another_run_the_last_policy_answers_beside(tmp_path: Path) -> None:
    folder = tmp_path / "evaluate" / "replies"
    folder.mkdir(parents=True)
    for stage in ("sft", "ppo"):
        table(f"other {stage}", range(5)).write_parquet(folder / f"{stage}.parquet")
    page = beside({"ppo": table("ppo", range(5))}, {"other": tmp_path}, "the recommender")
    assert "other ppo to 3" in page and "other sft" not in page
    assert beside({"ppo": table("ppo", range(5))}, {"none": tmp_path / "none"}, "x") == "", "nothing to stand beside"
