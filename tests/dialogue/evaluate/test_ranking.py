"""Evaluation end to end on the synthetic world, with policies of a few lines whose worth is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch

from tacit.catalog import Catalog
from tacit.data.dialogues import synthetic
from tacit.dialogue.evaluate import protocols, replies, reply_map, satisfaction
from tacit.dialogue.evaluate import title_writer as literal
from tacit.dialogue.evaluate.baselines import CoOccurrence
from tacit.dialogue.evaluate.ranking import EvaluateConfig, collect_rows, run_evaluate
from tacit.dialogue.users.crowd import UsersConfig, UserWorld
from tacit.metrics import results
from tacit.metrics.results import Row, combine, load_rows, markdown, save_rows
from tacit.run.folder import Stage
from tacit.types import Dialogue, InputError, Item, Sample, Slate, Split, TestSet, Turn

CONFIG = EvaluateConfig(replies=40, users=24, max_turns=3, draws=100, batch=16, map=20, map_method="pca")


class Encoder:
    def clear_cache(self) -> None: ...

    def encode(self, texts: Sequence[str], what: str = "") -> torch.Tensor:
        return torch.tensor([[len(text), text.count("e"), text.count(" ")] for text in texts], dtype=torch.float32)


class FakePolicy:
    """Recommends by a co-occurrence table (skilled) or by catalogue order, and always says the same."""

    def __init__(self, catalog: Catalog, train: Sequence[Dialogue], skilled: bool) -> None:
        self.catalog, self.encoder, self.skilled, self.calls = catalog, Encoder(), skilled, 0
        self.table = CoOccurrence(catalog, train)

    def slate_logits(self, contexts: Sequence[Dialogue]) -> torch.Tensor:
        self.calls += 1
        scores = (
            self.table.scores(contexts) if self.skilled else np.tile(-np.arange(len(self.catalog)), (len(contexts), 1))
        )
        return torch.tensor(scores, dtype=torch.float32)

    def act(self, contexts: Sequence[Dialogue], generator: torch.Generator, greedy: bool = False) -> list[Sample]:
        self.calls += 1
        best = self.slate_logits(contexts).topk(3, dim=-1).indices.tolist()
        return [self._say(Slate(tuple(self.catalog.items[row].id for row in rows))) for rows in best]

    def _say(self, slate: Slate) -> Sample:
        title = self.catalog[slate.items[0]].title
        return Sample((1,), (2, 3), (True, True), (-0.1, -0.1), f"You could watch {title}!", slate, (-1.0,) * 3)


@pytest.fixture(scope="module")
def world() -> tuple[Catalog, Split, TestSet, UserWorld]:
    catalog, split = synthetic.load_training(0)
    test = TestSet(synthetic.load_test(0).dialogues[:60])
    return catalog, split, test, UserWorld.fit(catalog, split.train, UsersConfig(), seed=0)


def evaluate(folder: Path, world: tuple[Catalog, Split, TestSet, UserWorld]) -> tuple[list[Row], list[FakePolicy]]:
    catalog, split, test, users = world
    policies = [FakePolicy(catalog, split.train, skilled) for skilled in (False, True)]
    named = dict(zip(("sft", "ppo"), policies, strict=True))
    stage = Stage("evaluate", folder / "evaluate")
    rows = run_evaluate(named, catalog, split, test, users, None, CONFIG, stage, 3, dataset="synthetic")  # type: ignore[arg-type]
    return rows, policies


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory, world: tuple[Catalog, Split, TestSet, UserWorld]
) -> tuple[Path, list[Row]]:
    folder = tmp_path_factory.mktemp("run")
    rows, _ = evaluate(folder, world)
    return folder, rows


def pick(rows: Sequence[Row], model: str, metric: str, slice: str = "new", protocol: str = "synthetic-standard") -> Row:
    found = [r for r in rows if (r.model, r.name, r.slice, r.protocol) == (model, metric, slice, protocol)]
    assert len(found) == 1, f"{len(found)} rows for {model} {metric} {slice} {protocol}"
    return found[0]


def test_every_model_protocol_and_slice_has_its_numbers(run: tuple[Path, list[Row]]) -> None:
    _, rows = run
    ranking = [row for row in rows if row.k]
    models = {"popularity", "copy", "co-occurrence", "co-occurrence+copy", "sft", "ppo", "ppo-sft"}
    assert {row.model for row in ranking} == models
    assert len(ranking) == len(models) * 2 * 3 * 3 * 4
    assert pick(rows, "sft", "HR@5").n == pick(rows, "ppo-sft", "HR@5").n > 0
    both = [pick(rows, "ppo", "HR@50", slice).n for slice in ("all", "new", "repeated")]
    assert both[0] == both[1] + both[2]


def test_the_difference_is_paired_and_the_baseline_is_the_same_table(run: tuple[Path, list[Row]]) -> None:
    _, rows = run
    gain = pick(rows, "ppo-sft", "NDCG@10")
    assert gain.value == pytest.approx(pick(rows, "ppo", "NDCG@10").value - pick(rows, "sft", "NDCG@10").value)
    assert gain.ci_low is not None and gain.ci_low > 0, "a co-occurrence table beats catalogue order"
    assert pick(rows, "ppo", "HR@5").value == pick(rows, "co-occurrence", "HR@5").value


def test_replies_and_users_have_rows(run: tuple[Path, list[Row]]) -> None:
    folder, rows = run
    place = {"slice": "test agent messages", "protocol": "replies"}
    assert pick(rows, "sft", "out-of-catalogue", **place).value == 0
    bleu = pick(rows, "ppo", "corpus BLEU", **place)
    assert "version" in bleu.note and bleu.ci_low <= bleu.value <= bleu.ci_high
    assert pick(rows, "human", "distinct-2", **place).value > pick(rows, "sft", "distinct-2", **place).value
    place = {"slice": "fresh users", "protocol": "simulated-users"}
    hidden = pick(rows, "ppo-sft", "hidden utility", **place)
    assert hidden.emulated and hidden.n == CONFIG.users
    assert all(row.emulated == (row.protocol == "simulated-users") for row in rows)
    first = [
        pl.read_parquet(folder / "evaluate" / "users" / f"{m}.parquet").filter(pl.col("step") == 0)
        for m in ("sft", "ppo")
    ]
    assert first[0]["context"].to_list() == first[1]["context"].to_list(), "both policies meet the same users"


def test_the_map_holds_both_models(run: tuple[Path, list[Row]]) -> None:
    table = pl.read_parquet(run[0] / "evaluate" / "map.parquet")
    assert table["model"].value_counts(sort=True)["count"].to_list() == [20, 20]
    assert table["method"].unique().to_list() == ["PCA"] and table["x"].is_finite().all()


def test_pca_keeps_the_distances_of_a_plane() -> None:
    points = np.random.default_rng(0).standard_normal((30, 2))
    plane = points @ np.linalg.qr(np.random.default_rng(1).standard_normal((5, 5)))[0][:2] + 3.0
    found = reply_map.pca(plane)
    wanted = np.linalg.norm(points[:, None] - points[None], axis=-1)
    assert np.allclose(np.linalg.norm(found[:, None] - found[None], axis=-1), wanted)
    assert reply_map.pca(np.ones((1, 4))).shape == (1, 2)


def test_a_finished_part_is_not_done_again(
    run: tuple[Path, list[Row]], world: tuple[Catalog, Split, TestSet, UserWorld]
) -> None:
    folder, rows = run
    saved = (folder / "results.json").read_bytes()
    (folder / "evaluate" / "ranks" / "ppo.parquet").unlink()
    again, (sft, ppo) = evaluate(folder, world)
    assert sft.calls == 0 and ppo.calls > 0
    assert again == rows and (folder / "results.json").read_bytes() == saved
    assert json.loads((folder / "evaluate" / "done.json").read_text())["sft out-of-catalogue"] == 0


def test_no_case_is_an_error_with_a_remedy(tmp_path: Path, world: tuple[Catalog, Split, TestSet, UserWorld]) -> None:
    catalog, split, _, users = world
    test = TestSet((Dialogue("x", "u", (Turn("user", "hello"), Turn("agent", "hi"))),))
    with pytest.raises(InputError, match="no test message recommends"):
        run_evaluate({}, catalog, split, test, users, None, CONFIG, Stage("evaluate", tmp_path), 0)


def test_titles_outside_the_catalogue_are_counted() -> None:
    catalog = Catalog([Item("a", "Alien (1979)", "Alien"), Item("b", "The Blob (1958)", "Blob")])
    text = "Alien (1979) or Never Made (1999)? The Blob (1958)."
    assert replies.titles(text, Slate(("a", "zzz")), catalog) == (5, 2)
    assert replies.titles("Hello there.", None, catalog) == (0, 0)


class Parrot:
    """Writes the first item of the context's last mention, a film nobody made, and nothing else."""

    def generate(self, contexts: Sequence[Dialogue], n: int) -> list[list[str]]:
        return [['Try "Never Made" or Lost Film (1999).', f"{'Alien (1979)' if n else ''} again"] for _ in contexts]


def test_written_titles_are_ranked_in_order_and_the_rest_is_unlinked(tmp_path: Path) -> None:
    catalog = Catalog(
        [Item("a", "The Blob (1958)", "Blob"), Item("b", "Alien (1979)", "Alien"), Item("c", "Up (2009)", "Up")]
    )
    assert literal.linked(["See Alien (1979)!", "The Blob (1958), Alien (1979)"], catalog) == [1, 0]
    assert literal.unlinked("Alien (1979) or Lost Film (1999)", catalog) == (2, 1)
    assert literal.unlinked('"Alien" or "Never Made" or "Lost Film (1999)"', catalog) == (3, 2)
    gold = Turn("agent", "Alien (1979)", ("b",), Slate(("b",)))
    found = protocols.cases(TestSet((Dialogue("d", "u", (Turn("user", "hi"), gold)),)), catalog)
    literal.write_literal(tmp_path / "x.parquet", "x", Parrot(), found, catalog, 2, 8)
    table = pl.read_parquet(tmp_path / "x.parquet")
    ranks = protocols.rank_cases(found, literal.WrittenTitles(table, catalog).scores, protocols.protocols("d"), 0)
    assert ranks["d-standard"].full.tolist() == [1]
    (row,) = literal.literal_rows({"literal": table}, "d", 50, 0)
    assert row.value == pytest.approx(2 / 3) and row.n == 3


def test_satisfaction_by_hand() -> None:
    found = satisfaction.satisfaction(np.array([0.8, 0.5, np.nan]), np.array([1.0, 0.0, 0.0]))
    assert found[:2].tolist() == pytest.approx([0.5 * 0.8 + 0.5 * 0.75, 0.5])
    assert np.isnan(found[2])
    columns = {
        "hidden_total": [0.2, 0.2],
        "hidden_utility": [0.1, 0.3],
        "ended": [None, "left"],
        "dialogue": ["a", "a"],
    }
    frame = pl.DataFrame(columns | {"engagement": [0.4, float("nan")], "sentiment": [0.0, 1.0]})
    user = satisfaction.per_user(frame).row(0, named=True)
    assert user["hidden utility"] == 0.2 and user["hidden utility a turn"] == pytest.approx(0.2)
    assert (user["agent turns"], user["left"], user["accepted"]) == (2, 1, 0)
    assert (user["engagement"], user["sentiment"]) == (0.4, 0.5)


def test_a_row_prints_its_definition() -> None:
    row = Row("redial", "redial-standard", "new", "HR", 5, 0.1, 0.09, 0.11, 4472, "sft", 0, "full catalogue 6\u202f924")
    assert row.label(3) == "HR@5 [redial-standard, new items, full catalogue 6\u202f924, n=4\u202f472, 3 seeds]"
    users = Row("redial", "simulated-users", "fresh users", "hidden utility", None, 0.1, 0, 1, 500, "sft", 2, "", True)
    assert users.label() == "hidden utility [simulated-users, fresh users, n=500, seed 2, emulated]"


def test_seeds_combine_to_mean_and_deviation(tmp_path: Path) -> None:
    def save(name: str, seed: int, value: float) -> Path:
        (tmp_path / name).mkdir()
        row = Row("redial", "redial-standard", "new", "HR", 5, value, 0.0, 1.0, 10, "ppo", seed, "full catalogue 9")
        missing = Row("redial", "redial-standard", "new", "HR", 1, None, None, None, 0, "ppo", seed)
        save_rows(tmp_path / name / "results.json", [row, missing])
        return tmp_path / name

    folders = [save("a", 0, 0.1), save("b", 1, 0.3)]
    (combined,) = combine(folders)
    assert combined.mean == pytest.approx(0.2) and combined.sd == pytest.approx(np.sqrt(0.02))
    assert "| ppo | 0.2000 ± 0.1414 |" in markdown([combined]) and "2 seeds" in markdown([combined])
    assert "| ppo | 0.1000 [0.0000, 1.00] |" in markdown(combine(folders[:1]))
    with pytest.raises(InputError, match="each run once"):
        combine([folders[0], folders[0]])
    with pytest.raises(InputError, match="evaluate the run first"):
        load_rows(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("[{]")
    with pytest.raises(InputError, match="not a results file"):
        load_rows(tmp_path / "bad.json")


def test_results_keep_every_field_and_no_nan(tmp_path: Path) -> None:
    base = results.blank("d", "p", "s", "m", 0, emulated=True)
    row = results.make_row(base, "x", satisfaction.Estimate(float("nan"), 0.1, 0.2, 3))
    save_rows(tmp_path / "results.json", [row])
    assert row.value is None and load_rows(tmp_path / "results.json") == [row]


def test_rows_come_from_the_files_alone(
    run: tuple[Path, list[Row]], world: tuple[Catalog, Split, TestSet, UserWorld]
) -> None:
    folder, rows = run
    models = [path.stem for path in (folder / "evaluate" / "ranks").glob("*.parquet")]
    again = collect_rows(folder / "evaluate", results.in_order(models), world[0], "synthetic", CONFIG.draws, 3)
    assert again == rows
