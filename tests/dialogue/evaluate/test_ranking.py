"""Evaluation end to end on the synthetic world, with policies of a few lines whose worth is known."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
import torch

from tacit.catalog import Catalog
from tacit.data.dialogues import synthetic
from tacit.dialogue.evaluate import protocols, replies, reply_map, satisfaction
from tacit.dialogue.evaluate import title_writer as literal
from tacit.dialogue.evaluate.baselines.counts import CoOccurrence
from tacit.dialogue.evaluate.ranking import (
    FORCED,
    LIKELIEST,
    PAIRS,
    EvaluateConfig,
    EvaluationInputs,
    collect_rows,
    rank_rows,
    run_evaluate,
    summary,
)
from tacit.dialogue.users.crowd import UsersConfig, UserWorld
from tacit.metrics import results
from tacit.metrics.results import Row, load_rows
from tacit.referee.judge import Settings, judge
from tacit.referee.read import read_run
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

    # What reading people's words needs: every byte a token, each foretold with probability 1/2.
    layout = SimpleNamespace(opening=lambda slate: [9], encode=lambda text, limit: list(text.encode())[:limit], eos=0)
    config = SimpleNamespace(slate_titles=0)

    def prompt(self, context: Dialogue) -> list[int]:
        return [1]

    def evaluate(self, contexts: Sequence[Dialogue], samples: Sequence[Sample]) -> SimpleNamespace:
        longest = max(len(sample.tokens) for sample in samples)
        drawn = torch.tensor([[*s.sampled, *[False] * (longest - len(s.sampled))] for s in samples])
        return SimpleNamespace(token_logprobs=drawn * math.log(0.5))

    def act(
        self,
        contexts: Sequence[Dialogue],
        generator: torch.Generator,
        greedy: bool = False,
        decide: str | None = None,
        temperature: float = 1.0,
        likeliest: bool = False,
    ) -> list[Sample]:
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
    inputs = EvaluationInputs("synthetic", catalog, split, test, named, users)  # type: ignore[arg-type]
    return run_evaluate(inputs, CONFIG, folder / "evaluate", seed=3), policies


@pytest.fixture(scope="module")
def run(
    tmp_path_factory: pytest.TempPathFactory, world: tuple[Catalog, Split, TestSet, UserWorld]
) -> tuple[Path, list[Row]]:
    folder = tmp_path_factory.mktemp("run")
    rows, _ = evaluate(folder, world)
    return folder, rows


def pick(
    rows: Sequence[Row],
    model: str,
    metric: str,
    slice: str = "new",
    protocol: str = "synthetic-standard",
    against: str = "",
) -> Row:
    wanted = (model, against, metric, slice, protocol)
    found = [r for r in rows if (r.model, r.against, r.name, r.slice, r.protocol) == wanted]
    assert len(found) == 1, f"{len(found)} rows for {wanted}"
    return found[0]


def test_every_model_protocol_and_slice_has_its_numbers(run: tuple[Path, list[Row]]) -> None:
    _, rows = run
    ranking = [row for row in rows if row.k]
    models = {"popularity", "copy", "co-occurrence", "co-occurrence+copy", "sft", "ppo"}
    assert {row.model for row in ranking if not row.against} == models
    pairs = [
        pair for pair in PAIRS if not any("recommend" in name for name in pair)
    ]  # made to, it ranks no item elsewhere
    assert {(row.model, row.against) for row in ranking if row.against} == set(pairs)
    slices = {"all", "new", "repeated", "liked"}  # its people say what they like
    assert {row.slice for row in ranking} - {"unseen"} == slices
    assert sum(row.slice in slices for row in ranking) == (len(models) + len(pairs)) * 2 * len(slices) * 3 * 4
    assert pick(rows, "sft", "HR@5").n == pick(rows, "ppo", "HR@5", against="sft").n > 0
    both = [pick(rows, "ppo", "HR@50", slice).n for slice in ("all", "new", "repeated")]
    assert both[0] == both[1] + both[2]


def test_the_difference_is_paired_and_the_baseline_is_the_same_table(run: tuple[Path, list[Row]]) -> None:
    _, rows = run
    gain = pick(rows, "ppo", "NDCG@10", against="sft")
    assert gain.value == pytest.approx(pick(rows, "ppo", "NDCG@10").value - pick(rows, "sft", "NDCG@10").value)
    assert gain.ci_low is not None and gain.ci_low > 0, "a co-occurrence table beats catalogue order"
    assert pick(rows, "ppo", "HR@5").value == pick(rows, "co-occurrence", "HR@5").value
    equal = pick(rows, "ppo", "HR@5", against="co-occurrence")
    assert (equal.value, equal.ci_low, equal.ci_high) == (0.0, 0.0, 0.0)


def test_any_pair_of_models_is_compared_and_only_those_that_are_there() -> None:
    """Ranks 1 and 7 of "old", 2 and 1 of "new": HR@1 goes from .5 to .5, HR@5 from .5 to 1."""
    columns = {"dialogue": ["a", "b"], "turn": [1, 1], "item": ["x", "y"], "repeated": [False, False]}
    ranks = {"old": [1, 7], "new": [2, 1]}
    names = ("d-standard", "d-standard/masked", "sampled-99", "sampled-99/masked")
    tables = {model: pl.DataFrame(columns | dict.fromkeys(names, places)) for model, places in ranks.items()}
    pairs = (("new", "old"), ("new", "absent"))
    rows = rank_rows(tables, pairs, 9, "d", 50, 0)
    assert {(row.model, row.against) for row in rows} == {("old", ""), ("new", ""), ("new", "old")}
    place = {"protocol": "d-standard", "against": "old"}
    assert pick(rows, "new", "HR@1", **place).value == 0.0 and pick(rows, "new", "HR@5", **place).value == 0.5
    tables["old"] = tables["old"].with_columns(item=pl.Series(["x", "z"]))
    with pytest.raises(ValueError, match="the same cases"):
        rank_rows(tables, pairs, 9, "d", 50, 0)


def test_slices_of_what_was_observed_stand_beside_the_others_where_it_was_logged() -> None:
    """Ranks 1, 6, 2 and 7. Two items were clicked (ranks 1 and 7), one of the others was not, of one nobody knows; one
    item is unseen (rank 6); of liking nothing was logged."""
    columns = {"dialogue": ["a", "a", "b", "c"], "turn": [1, 3, 1, 1], "item": list("wxyz"), "repeated": [False] * 4}
    observed = {
        "unseen": [False, True, False, False],
        "clicked": [True, False, None, True],
        "accepted": [False, False, None, None],
        "liked": pl.Series([None] * 4, dtype=pl.Boolean),
    }
    names = ("d-standard", "d-standard/masked", "sampled-99", "sampled-99/masked")
    table = pl.DataFrame(columns | observed | {name: [1, 6, 2, 7] for name in names})
    rows = rank_rows({"m": table}, (), 9, "d", 50, 0)
    place = {"model": "m", "metric": "HR@5", "protocol": "d-standard"}
    assert {row.slice for row in rows} == {"all", "new", "repeated", "clicked", "accepted", "unseen"}
    assert (pick(rows, slice="clicked", **place).value, pick(rows, slice="clicked", **place).n) == (0.5, 2)
    assert (pick(rows, slice="unseen", **place).value, pick(rows, slice="unseen", **place).n) == (0.0, 1)
    assert (pick(rows, slice="accepted", **place).value, pick(rows, slice="accepted", **place).n) == (None, 0)
    before = rank_rows({"m": table.drop(*observed)}, (), 9, "d", 50, 0)  # of an evaluation made before
    assert before == [row for row in rows if row.slice in ("all", "new", "repeated")]


def test_replies_and_users_have_rows(run: tuple[Path, list[Row]]) -> None:
    folder, rows = run
    place = {"slice": "test agent messages", "protocol": "replies"}
    assert pick(rows, "sft", "out-of-catalogue", **place).value == 0
    bleu = pick(rows, "ppo", "corpus BLEU", **place)
    assert "version" in bleu.note and bleu.ci_low <= bleu.value <= bleu.ci_high
    assert pick(rows, "human", "distinct-2", **place).value > pick(rows, "sft", "distinct-2", **place).value
    place = {"slice": "fresh users", "protocol": "simulated-users"}
    hidden = pick(rows, "ppo", "hidden utility", against="sft", **place)
    assert hidden.emulated and hidden.n == CONFIG.users
    assert (hidden.unit, hidden.clusters) == ("simulated users", CONFIG.users)
    assert {(row.unit, row.clusters > 0) for row in rows if row.ends} <= {
        ("dialogues", True),
        ("simulated users", True),
    }, "nobody comes back in the invented world"
    for part in ("ranks", "replies"):
        written = pl.read_parquet(folder / "evaluate" / part / "ppo.parquet")
        assert (written["user"] == "user-" + written["dialogue"]).all()
    assert all(row.emulated == (row.protocol == "simulated-users") for row in rows)
    first = [
        pl.read_parquet(folder / "evaluate" / "users" / f"{m}.parquet").filter(pl.col("step") == 0)
        for m in ("sft", "ppo")
    ]
    assert first[0]["context"].to_list() == first[1]["context"].to_list(), "both policies meet the same users"


def test_bits_per_byte_read_the_words_and_the_end_of_a_turn(run: tuple[Path, list[Row]]) -> None:
    """Each byte and each end is one bit here, so b bytes in n turns are (b + n) / b bits a byte."""
    folder, rows = run
    table = pl.read_parquet(folder / "evaluate" / "likelihood" / "sft.parquet")
    place = {"slice": "test agent messages", "protocol": "replies"}
    assert table["bits"].to_list() == pytest.approx((table["bytes"] + 1).to_list())
    level = pick(rows, "sft", "bits per byte", **place)
    assert level.value == pytest.approx((table["bytes"].sum() + len(table)) / table["bytes"].sum())
    assert level.ci_low <= level.value <= level.ci_high and level.n == len(table) > 20
    equal = pick(rows, "ppo", "bits per byte", against="sft", **place)
    assert (equal.value, equal.ci_low, equal.ci_high) == (0.0, 0.0, 0.0)


def test_the_supervised_policy_also_meets_the_users_with_its_decision_forced(tmp_path: Path) -> None:
    """A policy that would never recommend, and an obedient one: what the decision is worth is measured apart."""
    catalog, split = synthetic.load_training(0)
    world = UserWorld.fit(catalog, split.train, UsersConfig(), seed=0)

    class Shy(FakePolicy):
        def act(
            self,
            contexts: Sequence[Dialogue],
            generator: torch.Generator,
            greedy: bool = False,
            decide: str | None = None,
            temperature: float = 1.0,
            likeliest: bool = False,
        ) -> list[Sample]:
            if decide == "recommend":
                return super().act(contexts, generator, greedy, likeliest=likeliest)
            return [Sample((1,), (2,), (True,), (-0.1,), "What do you like?") for _ in contexts]

    policies = {"sft": Shy(catalog, split.train, True)}
    test = TestSet(synthetic.load_test(0).dialogues[:5])
    inputs = EvaluationInputs("synthetic", catalog, split, test, policies, world)  # type: ignore[arg-type]
    config = EvaluateConfig(replies=0, users=24, max_turns=3, draws=50, batch=16, map=0)
    rows = run_evaluate(inputs, config, tmp_path, seed=3)
    place = {"slice": "fresh users", "protocol": "simulated-users"}
    gain = pick(rows, FORCED, "hidden utility", against="sft", **place)
    assert gain.value > 0 and gain.n == 24
    names = ("sft", FORCED, LIKELIEST["sft"])
    slates = {name: pl.read_parquet(tmp_path / "users" / f"{name}.parquet")["slate"] for name in names}
    assert slates["sft"].list.len().max() == 0 and all(slates[name].list.len().min() > 0 for name in names[1:])


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


def test_the_referee_finds_the_same_numbers_in_the_run_files(run: tuple[Path, list[Row]]) -> None:
    """Ranks, slices, candidates and persons are those of the evaluation; so are the replies."""
    folder, rows = run
    files = [read_run(folder / "evaluate" / "runs" / name) for name in ("sft", "ppo", "popularity")]
    verdict = judge(files, ["standard", "sampled-99"], Settings(seed=3, draws=CONFIG.draws))
    names = {"synthetic-standard": "standard", "sampled-99": "sampled-99"}
    found = {(row.protocol, row.slice, row.name, row.model, row.against): row for row in verdict.rows}
    mine = [row for row in rows if row.protocol in names and row.model in verdict.systems and not row.against]
    for row in mine:
        other = found[names[row.protocol], row.slice, row.name, row.model, ""]
        assert (other.value, other.n, other.unit, other.clusters) == (
            pytest.approx(row.value),
            row.n,
            row.unit,
            row.clusters,
        )
    assert len(mine) > 100
    (gain,) = [
        row
        for row in rows
        if (row.protocol, row.slice, row.name) == ("synthetic-standard", "new", "HR@10")
        and (row.model, row.against) == ("ppo", "sft")
    ]
    assert found["standard", "new", "HR@10", "ppo", "sft"].value == pytest.approx(gain.value)
    (bleu,) = [row for row in rows if row.metric == "corpus BLEU" and row.model == "ppo"]
    assert found["replies", "replies with a reference", "BLEU (sacrebleu)", "ppo", ""].value == pytest.approx(
        bleu.value
    )


def test_run_files_can_be_left_out(tmp_path: Path, world: tuple[Catalog, Split, TestSet, UserWorld]) -> None:
    catalog, split, test, users = world
    policies = {"sft": FakePolicy(catalog, split.train, True)}
    inputs = EvaluationInputs("synthetic", catalog, split, test, policies, users)  # type: ignore[arg-type]
    for which, left in {"policies": ["sft"], "none": []}.items():
        config = EvaluateConfig(replies=0, users=0, draws=10, map=0, run_files=which)  # type: ignore[arg-type]
        run_evaluate(inputs, config, tmp_path / which, seed=3)
        assert [path.name for path in (tmp_path / which).glob("runs/*")] == left


def test_a_finished_part_is_not_done_again(
    run: tuple[Path, list[Row]], world: tuple[Catalog, Split, TestSet, UserWorld]
) -> None:
    folder, rows = run
    saved = (folder / "evaluate" / "rows.json").read_bytes()
    (folder / "evaluate" / "ranks" / "ppo.parquet").unlink()
    shutil.rmtree(folder / "evaluate" / "runs" / "ppo")
    again, (sft, ppo) = evaluate(folder, world)
    assert sft.calls == 0 and ppo.calls > 0
    assert again == rows and (folder / "evaluate" / "rows.json").read_bytes() == saved
    assert load_rows(folder / "evaluate" / "rows.json") == rows
    assert summary(rows)["sft out-of-catalogue"] == 0 and "ppo − sft HR@5" in summary(rows)


def test_no_case_is_an_error_with_a_remedy(tmp_path: Path, world: tuple[Catalog, Split, TestSet, UserWorld]) -> None:
    catalog, split, _, users = world
    test = TestSet((Dialogue("x", "u", (Turn("user", "hello"), Turn("agent", "hi"))),))
    with pytest.raises(InputError, match="no test message recommends"):
        run_evaluate(EvaluationInputs("d", catalog, split, test, {}, users), CONFIG, tmp_path, 0)


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
    for reply in (
        "„Alien“ oder „Nie gedreht“",
        "«Alien» ou « Jamais tourné »",
        "»Alien« ‚Nie gedreht‘",
        "「Alien」「幻の映画」",
    ):
        assert literal.unlinked(reply, catalog) == (2, 1), reply
    gold = Turn("agent", "Alien (1979)", ("b",), Slate(("b",)))
    found = protocols.cases(TestSet((Dialogue("d", "u", (Turn("user", "hi"), gold)),)), catalog)
    literal.write_literal(tmp_path / "x.parquet", "x", Parrot(), found, catalog, 2, 8)
    table = pl.read_parquet(tmp_path / "x.parquet")
    ranks = protocols.rank_cases(
        found, literal.WrittenTitles(table, catalog).scores, protocols.protocols("d"), catalog, 0
    )
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


def test_rows_come_from_the_files_alone(
    run: tuple[Path, list[Row]], world: tuple[Catalog, Split, TestSet, UserWorld]
) -> None:
    folder, rows = run
    models = [path.stem for path in (folder / "evaluate" / "ranks").glob("*.parquet")]
    again = collect_rows(folder / "evaluate", results.in_order(models), PAIRS, world[0], "synthetic", CONFIG.draws, 3)
    assert again == rows
