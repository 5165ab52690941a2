"""System B end to end on an invented world: the real command, stage by stage, and what its files say."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from places import ROOT
from servers import Reply, message, serving
from tiny_amazon import metadata, review, write
from tiny_rerank import GENRES, SMALL, world
from typer.testing import CliRunner
from whole_runs import differing

from tacit.cli.main import app
from tacit.metrics.markdown import line_name
from tacit.metrics.results import load_rows
from tacit.pipelines.rerank import is_rerank, load_config, run_rerank
from tacit.report.rerank.report import read_round, rounds_table
from tacit.report.rerank.tuning import tuning
from tacit.rerank.align.feedback import read_groups
from tacit.rerank.align.pairs import read_pairs
from tacit.rerank.evaluate.rows import load_values, pooled
from tacit.rerank.ranker.tokens import item_attributes
from tacit.rerank.stages.arms import arm_knowledge, exchanged
from tacit.rerank.stages.context import RerankRun
from tacit.rerank.stages.evaluate import reference_rows
from tacit.rerank.writer.cache import CUT
from tacit.rerank.writer.prompts import filled
from tacit.rerank.writer.texts import load_texts
from tacit.rerank.writer.writers import small_writer
from tacit.run.folder import Run
from tacit.text.lm import LMConfig
from tacit.types import InputError


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rerank")
    config = world(folder)
    result = CliRunner().invoke(app, ["run", str(config), *SMALL, "align.force=true", f"out={folder / 'run'}"])
    assert result.exit_code == 0, result.output + repr(result.exception)
    return folder / "run"


def test_a_run_killed_in_four_places_ends_bit_for_bit_the_same(finished: Path, tmp_path: Path) -> None:
    """The clock is not asked: each kill comes when the file is there. Kills at random moments: `make soak`."""
    folder = tmp_path / "run"
    config = load_config(finished.parent / "films.yaml", [*SMALL, "align.force=true", f"out={folder}"])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tacit.pipelines.rerank"])
    rankers = [f"rankers/{name}*/checkpoints/step*" for name in ("dlcm-round-0", "listwise-round-1")]
    for place in ("knowledge/sft/checkpoints/step*", rankers[0], "align/round1/tune/*", rankers[1], ""):
        child = context.Process(target=run_rerank, args=(config,))
        child.start()
        while child.is_alive() and not (place and list(folder.glob(place))):
            time.sleep(0.01)
        if place:
            child.kill()
        child.join()
    assert child.exitcode == 0
    assert differing(folder, finished) == []


def test_every_row_has_an_interval_and_stands_beside_the_bounds(finished: Path) -> None:
    rows = {line_name(row): row for row in load_rows(finished / "results.json") if row.metric == "NDCG"}
    bounds = ("random", "popularity", "rate", "rate + seen", "exposure oracle", "oracle")
    assert {f"bound · {name}" for name in bounds} <= set(rows)
    assert {"dlcm · base", "dlcm · round 0", "dlcm · svd", "dlcm · round 1", "listwise · plain features"} <= set(rows)
    assert {"dlcm · round 0 − base", "dlcm · round 1 − round 0", "listwise · round 1 − all features"} <= set(rows)
    assert {"listwise · catalogue texts − plain features", "listwise · round 1 − catalogue texts"} <= set(rows)
    assert not [name for name in rows if name.startswith("listwise · all features − catalogue")]
    for row in rows.values():
        assert row.value is not None and (row.unit, row.clusters) == ("test users", 4)
        assert row.ends is None or row.ends[0] <= row.value <= row.ends[1]
        assert row.ends or row.not_told == "not told (4 test users)"
    assert rows["bound · random"].value < rows["bound · oracle"].value


def test_pooled_with_itself_nothing_changes_but_the_seeds(finished: Path) -> None:
    """Two equal runs count once. Two writers that differ: the seeds of both, and the mean of their means."""
    lines, _ = load_values(finished / "evaluate" / "values.safetensors")
    arms = [line.arm for line in lines]
    assert arms.index("random") < arms.index("base") < arms.index("round 1") < arms.index("all features")
    same, by_run = pooled([lines, lines])
    assert [line.seeds for line in same] == [line.seeds for line in lines]
    assert all(len(runs) == 1 for runs in by_run.values())
    other = [replace(line, values={name: values + 0.5 for name, values in line.values.items()}) for line in lines]
    both, by_run = pooled([lines, other])
    for line, first in zip(both, lines, strict=True):
        assert line.seeds == 2 * first.seeds
        assert line.mean["ndcg"].mean() == pytest.approx(first.mean["ndcg"].mean() + 0.25)
    result = CliRunner().invoke(app, ["rerank", "pool", str(finished), str(finished)])
    assert result.exit_code == 0 and "| dlcm · round 1 − round 0 | " in result.output
    refused = CliRunner().invoke(app, ["rerank", "pool", str(finished / "align")])
    assert refused.exit_code != 0 and "tacit rerank evaluate" in result.output + str(refused.exception) + refused.output


def test_a_fork_aligns_the_same_writer_in_another_way(finished: Path, tmp_path: Path) -> None:
    """The copy trains no reranker that alignment does not change, and is compared line by line."""
    runner, other = CliRunner(), tmp_path / "random"
    settings = ["align.pairs=random", "align.force=true", "strong=false"]
    assert runner.invoke(app, ["rerank", "fork", str(finished), str(other), *settings]).exit_code == 0
    assert not (other / "align").exists() and not [*(other / "rankers").glob("*round-1*")]
    assert [*(other / "rankers").glob("*round-0*")]
    # align.folds may change, and then these would know the users they score
    assert not [*(other / "rankers").glob("reward-*")]
    result = runner.invoke(app, ["run", str(other)])
    assert result.exit_code == 0, result.output + repr(result.exception)
    said = runner.invoke(app, ["rerank", "compare", str(finished), str(other)]).output
    assert "align.pairs=random instead of best_worst" in said and "strong=False instead of True" in said
    rows = {cells[1].strip(): cells[3] for line in said.splitlines() if len(cells := line.split("|")) > 4}
    gap = float(rows["dlcm · round 1, there − here"].split()[0])
    means = [
        {line_name(row): row.value for row in load_rows(run / "results.json") if row.metric == "NDCG"}["dlcm · round 1"]
        for run in (other, finished)
    ]
    assert gap == pytest.approx(means[0] - means[1], abs=6e-5)
    assert "dlcm · base, there − here" not in rows
    (equal,) = (line for line in said.splitlines() if line.startswith("Equal on every list: "))
    assert "dlcm · base" in equal and "dlcm · round 1" not in equal
    pooled_here = runner.invoke(app, ["rerank", "compare", f"{finished},{other}", str(other)]).output
    (half,) = (line.split("|")[3] for line in pooled_here.splitlines() if "round 1, there" in line)
    assert float(half.split()[0]) == pytest.approx((means[0] - means[1]) / 2, abs=6e-5)
    again = runner.invoke(app, ["rerank", "fork", str(finished), str(other)])
    assert again.exit_code != 0 and "is there already" in again.output + str(again.exception)


def test_a_fork_can_leave_rerankers_out_but_not_change_them(finished: Path, tmp_path: Path) -> None:
    fork = ["rerank", "fork", str(finished)]
    fewer = CliRunner().invoke(app, [*fork, str(tmp_path / "fewer"), "controls=[]", "ranker_seeds=1"])
    assert fewer.exit_code == 0
    assert {path.name for path in (tmp_path / "fewer" / "rankers").iterdir()} == {
        "dlcm-base-seed0",
        "dlcm-round-0-seed0",
    }
    assert json.loads((tmp_path / "fewer" / "run.json").read_text())["later"][-1]["settings"]["controls"] == [
        ["svd"],
        [],
    ]
    for override, said in (
        ("ranker.lr=0.5", "was made with ranker.lr="),
        ("seed=5", "was made with seed=0"),
        ("rankers=[prm]", "has no reranker prm-"),
    ):
        refused = CliRunner().invoke(app, [*fork, str(tmp_path / "no"), override])
        assert refused.exit_code != 0 and said in refused.output + str(refused.exception)
        assert not (tmp_path / "no").exists()


def test_a_paired_difference_is_the_difference_of_the_means(finished: Path) -> None:
    rows = {line_name(row): row.value for row in load_rows(finished / "results.json") if row.metric == "NDCG"}
    gap = rows["dlcm · round 1 − round 0"]
    assert gap == pytest.approx(rows["dlcm · round 1"] - rows["dlcm · round 0"])


def test_pairs_come_from_training_users_alone(finished: Path) -> None:
    data = RerankRun.open(Run(finished, 0), load_config(finished), "cpu").data
    found = read_pairs(finished / "align" / "round1" / "pairs.jsonl")
    assert found and {int(pair.user) for pair in found} <= set(data.split.train_users.tolist())
    assert all(pair.prompt == data.prompts[int(pair.user)] for pair in found)


def test_the_report_names_every_part_and_nothing_is_a_pickle(finished: Path) -> None:
    page = (finished / "report.html").read_text()
    for words in (
        "dlcm · round 1 − round 0",
        "split-half agreement",
        "without DPO; ours: round 0",
        "How the lists were made",
        "stammering lines",
        "Cut is the share of texts",
        "Pairs in the right order",
        "exposure oracle",
    ):
        assert words in page
    suspicious = {".pt", ".bin", ".pkl", ".pth", ".npy"}
    assert not [path for path in finished.rglob("*") if path.suffix in suspicious]


def test_a_finished_run_is_left_as_it_is_and_other_settings_are_refused(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("done.json")}
    assert CliRunner().invoke(app, ["run", str(finished)]).exit_code == 0
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("done.json")} == before
    refused = CliRunner().invoke(app, ["run", str(finished), "lists.consumed=3"])
    assert refused.exit_code == 2 and "lists.consumed=4" in refused.output


def test_ppo_takes_the_place_of_pairs_and_samples_no_more_texts(finished: Path, tmp_path: Path) -> None:
    """From the stages before align, which do not depend on how the writer is aligned."""
    begun(finished, tmp_path)
    result = CliRunner().invoke(
        app, ["rerank", "align", str(tmp_path), "align.method=ppo", "align.ppo.users=8", f"out={tmp_path}"]
    )
    assert result.exit_code == 0, result.output + repr(result.exception)
    name, card, found = read_round(tmp_path / "align" / "round1")
    pairs, samples = finished / "align" / "round1", tmp_path / "align" / "round1" / "tune" / "samples"
    groups = [group for path in sorted(samples.iterdir()) for group in read_groups(path)]
    users = {int(group.options[0].context.user) for group in groups}
    assert name == "round 1" and card["pairs"]["groups"] == len(groups) == read_round(pairs)[1]["pairs"]["groups"]
    assert len(users) == len(groups) and all(len(group.options) == 3 for group in groups)
    assert {int(pair.user) for pair in found} <= users
    assert set(load_texts(tmp_path / "align" / "round1")) == set(load_texts(finished / "knowledge"))
    assert all(words in tuning(tmp_path) for words in ("Round 1", "Feedback: NDCG@5", "KL to the first writer"))
    refused = CliRunner().invoke(app, ["run", str(tmp_path), "align.method=ppo", "align.pairs=random"])
    assert refused.exit_code == 2 and "ppo learns from no pairs" in refused.output


def begun(finished: Path, folder: Path) -> None:
    """A copy of the run up to where it is aligned."""
    for name in ("config.yaml", "run.json"):
        shutil.copy(finished / name, folder / name)
    for name in ("prepare", "knowledge", "train", "rankers", "texts"):
        shutil.copytree(finished / name, folder / name)


BEST_OF_N = ["align.method=best_of_n", "align.preference_source=model", "align.best_of=3", "align.force=true"]


def test_best_of_n_chooses_among_the_first_texts_and_samples_and_its_controls_choose_others(
    finished: Path, tmp_path: Path
) -> None:
    chosen = {}
    for name, keep in (("best_worst", 1), ("swapped", 1), ("random", 2), ("nearness", 1)):
        folder = tmp_path / name
        folder.mkdir()
        begun(finished, folder)
        judge = "nearness" if name == "nearness" else "model"
        pairs = "best_worst" if name == "nearness" else name
        settings = [f"align.preference_source={judge}", f"align.pairs={pairs}", f"align.keep={keep}", f"out={folder}"]
        command = ["rerank", "align", str(folder), *BEST_OF_N, *settings]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output + repr(result.exception)
        chosen[name] = load_texts(folder / "align" / "round1")
        card = json.loads((folder / "align" / "round1" / "card.json").read_text())
        assert 0 <= card[judge]["rate"]["value"] <= 1 and not (folder / "align" / "round1" / "tune").exists()
    first = load_texts(finished / "knowledge")
    data = RerankRun.open(Run(tmp_path, 0), load_config(tmp_path / "random"), "cpu").data
    assert all(set(texts) == set(first) for texts in chosen.values())
    differ = [user for user in first if chosen["best_worst"][user] != chosen["swapped"][user]]
    assert len(differ) > len(first) / 2 and chosen["random"] not in (chosen["best_worst"], chosen["swapped"])
    assert chosen["nearness"] not in (first, chosen["best_worst"])
    assert "agreement of nearness" in rounds_table([read_round(tmp_path / "nearness" / "align" / "round1")])
    kept = [path.read_text() for path in (tmp_path / "random" / "texts").glob("texts-*.jsonl")]
    pieces = [json.loads(piece) for lines in kept for piece in lines.splitlines()]
    written = {text for piece in pieces for key, text in piece.items() if key != CUT}
    options = {filled(data.prompts[u], text) for u in first for text in written} | {text for (text,) in first.values()}
    for name, texts in chosen.items():
        n = 2 if name == "random" else 1
        assert all(len(of_user) == n and set(of_user) <= options for of_user in texts.values())


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (["rankers=[dlcm, dlcn]"], "a list of one of dlcm, prm"),
        (["controls=[svd, noise]"], "a list of one of tfidf, svd, other users' texts, empty text"),
        (["align.pairs=longest"], "one of best_worst, random, swapped"),
        (["align.method=best_of_n"], "set align.preference_source=model"),
        ([*BEST_OF_N, "align.rounds=2"], "align.rounds=1"),
        ([*BEST_OF_N, "align.keep=5"], "no more than there are"),
        ([*BEST_OF_N, "align.best_of=30", "align.keep=15"], "more than 5,000 ways"),
        (["align.method=ppo", "align.preference_source=model"], "set align.preference_source=lists"),
        (["align.preference_source=me"], "one of lists, model, nearness"),
        (["align.preference_source=model", "knowledge.components=0"], "set some knowledge.components"),
    ],
)
def test_what_a_reward_model_cannot_do_is_refused_before_anything_runs(
    tmp_path: Path, settings: list[str], says: str
) -> None:
    refused = CliRunner().invoke(app, ["run", str(world(tmp_path)), *SMALL, *settings, f"out={tmp_path / 'run'}"])
    assert refused.exit_code == 2 and says in " ".join(refused.output.split())
    assert not (tmp_path / "run").exists()


def test_pairs_of_the_reward_model_differ_from_those_of_the_lists(finished: Path, tmp_path: Path) -> None:
    begun(finished, tmp_path)
    result = CliRunner().invoke(
        app, ["rerank", "align", str(tmp_path), "align.preference_source=model", "align.force=true", f"out={tmp_path}"]
    )
    assert result.exit_code == 0, result.output + repr(result.exception)
    lists, model = (read_round(folder / "align" / "round1")[2] for folder in (finished, tmp_path))
    assert {pair.user for pair in lists} <= {pair.user for pair in model}
    plain, judged = (rounds_table([read_round(folder / "align" / "round1")]) for folder in (finished, tmp_path))
    assert "agreement of the reward model" in judged and "agreement of the reward model" not in plain


def test_an_empty_text_tells_no_two_users_apart_and_leaves_the_items_as_they_are(finished: Path) -> None:
    context = RerankRun.open(Run(finished, 0), load_config(finished), "cpu")
    written, empty = (arm_knowledge(context, arm) for arm in ("round 0", "empty text"))
    assert written is not None and empty is not None
    split = context.data.split
    others = sorted(set(context.data.users) - set(split.train_users.tolist()))  # read along the same axes
    assert len(others) > 1
    spread = [float((texts.user[others] - texts.user[others].mean(0)).abs().max()) for texts in (empty, written)]
    assert spread[0] < 1e-5 < 1e-2 < spread[1]  # not 0: the last bits of a product depend on the row's place
    assert empty.item.equal(written.item)


def test_descriptions_stand_beside_what_the_catalogue_says(finished: Path, tmp_path: Path) -> None:
    """Films of one genre are described in the same words; the writer's texts then stand on top of them."""
    shutil.copytree(finished / "knowledge", tmp_path / "knowledge")
    config = replace(load_config(finished), strong_seeds=1)
    config.align.rounds = 0
    context = RerankRun.open(Run(tmp_path, 0), config, "cpu")
    ratings = context.data.ratings
    items = ratings.items
    told = {item.id: f"Everybody dances in this {item.attributes['genre'][0]}." for item in items[:-1]}
    context = replace(context, data=replace(context.data, ratings=replace(ratings, descriptions=told)))
    assert context.data.item_texts == [*told.values(), items[-1].text]
    lines = [line for line in reference_rows(context) if line.model == "listwise"]
    arms = ["plain features", "all features", "features without ties", "catalogue texts", "descriptions", "round 0"]
    assert [line.arm for line in lines] == arms
    assert not np.array_equal(lines[3].values["ndcg"], lines[4].values["ndcg"])


def test_without_a_writer_the_rows_of_the_ratings_stand_alone(tmp_path: Path) -> None:
    settings = [*SMALL, "knowledge.writer=none", "rankers=[]", f"out={tmp_path / 'run'}"]
    refused = CliRunner().invoke(app, ["run", str(world(tmp_path)), *settings])
    assert refused.exit_code == 2 and "set align.rounds=0" in refused.output
    assert not (tmp_path / "run").exists()
    result = CliRunner().invoke(app, ["run", str(tmp_path / "films.yaml"), *settings, "align.rounds=0"])
    assert result.exit_code == 0, result.output
    models = {line_name(row) for row in load_rows(tmp_path / "run" / "results.json")}
    assert {"listwise · plain features", "listwise · all features", "bound · oracle"} <= models
    assert not any("round" in model for model in models)


def amazon(folder: Path, users: int = 36, items: int = 44, rated: int = 36) -> None:
    """A folder as Amazon publishes it, one review a day and user, whose (36, 20)-core is all of it but one reader."""
    generator = np.random.default_rng(0)
    rows = [review("ONCE", "B0", 5.0, 10_000)]
    for user in range(users):
        for day, item in enumerate(generator.permutation(items)[:rated].tolist()):
            stars = 5.0 if item % 4 == user % 4 else float(generator.integers(1, 6))
            rows.append(review(f"A{user}", f"B{item}", stars, 10_000 + day))
    write(folder / "Books_5.json.gz", rows)
    names = ("Ann Lee", "Bo Ray", "Cy Fox")
    books = [
        metadata(f"B{k}", f"Book number {k}", f"Visit Amazon's {names[k % 3]} Page", ["Books", GENRES[k % 4].title()])
        for k in range(items)
    ]
    write(folder / "meta_Books.json.gz", books)


def test_amazon_books_from_the_published_files_to_rerankers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shipped config; the reviews are read by the first stage alone."""
    amazon(tmp_path)
    shipped = ROOT / "configs" / "rlrf4rec" / "amazon-books.yaml"
    core = [f"data.path={tmp_path}", "data.user_core=36", "data.item_core=20", f"out={tmp_path / 'run'}"]
    small = [setting for setting in SMALL if not setting.startswith(("ranker.attributes", "lists.text_history"))]
    for stage in ("prepare", "knowledge", "train"):
        result = CliRunner().invoke(app, ["rerank", stage, str(shipped), *small, *core])
        assert result.exit_code == 0, result.output + repr(result.exception)
        monkeypatch.delattr("tacit.data.ratings.amazon.read_reviews", raising=False)
    config = load_config(tmp_path / "run")
    data = RerankRun.open(Run(tmp_path / "run", 0), config, "cpu").data
    assert (len(data.ratings.users), len(data.ratings.items)) == (36, 44)
    assert data.ratings.positive_above == 4.0 and set(data.split.histories.cut) == {15}
    attributes, n = item_attributes(data.ratings.items, config.ranker.attributes)
    assert attributes.shape == (44, 2) and n == 3 + 4
    texts = json.loads((tmp_path / "run" / "knowledge" / "texts.json").read_text())
    assert len(texts) == 36
    assert {path.name for path in (tmp_path / "run" / "rankers").iterdir()} >= {"dlcm-base-seed0", "dlcm-round-0-seed1"}


def test_stages_ask_for_those_before_them(tmp_path: Path) -> None:
    config = world(tmp_path)
    result = CliRunner().invoke(app, ["rerank", "train", str(config), *SMALL, f"out={tmp_path / 'run'}"])
    assert result.exit_code == 2 and "run `tacit rerank knowledge CONFIG` first" in result.output


def test_the_protocol_is_printed_with_its_bounds(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["rerank", "protocol", str(world(tmp_path))])
    assert result.exit_code == 0 and "| exposure oracle |" in result.output and "MAP@5 (KAR)" in result.output


def test_everyone_gets_somebody_elses_text() -> None:
    texts = {user: (f"about {user}",) for user in range(5)}
    others = exchanged(texts, seed=1)
    assert sorted(others.values()) == sorted(texts.values()) and all(others[u] != texts[u] for u in texts)


def test_a_config_of_the_other_system_is_told_apart() -> None:
    configs = ROOT / "configs"
    assert is_rerank(configs / "rlrf4rec" / "ml1m.yaml") and not is_rerank(configs / "redial.yaml")
    for path in sorted((configs / "rlrf4rec").glob("*.yaml")):
        assert load_config(path).system == "rerank"


def test_a_gguf_writer_that_is_not_there_is_refused_before_any_stage(tmp_path: Path) -> None:
    path = ROOT / "configs" / "rlrf4rec" / "ml100k.yaml"
    absent = f"knowledge.writer={tmp_path}/absent.gguf"
    config = load_config(path, [f"data.path={tmp_path}", absent, f"out={tmp_path}/run", "dtype=float32"])
    with pytest.raises(InputError, match=r"absent\.gguf"):
        run_rerank(config)
    assert not (tmp_path / "run" / "prepare").exists()


def test_a_config_that_inherits_the_system_is_told_apart(tmp_path: Path) -> None:
    """By what the files say once merged: a line two files below, a quoted value, an overlay, a line overruled."""

    def says(text: str, name: str) -> Path:
        (tmp_path / name).write_text(text)
        return tmp_path / name

    says("system: rerank\n", "base.yaml")
    middle = says("defaults: base.yaml\nseed: 3\n", "middle.yaml")
    heir = says("defaults: middle.yaml\n", "heir.yaml")
    assert is_rerank(heir) and load_config(heir).seed == 3
    assert is_rerank(says('{system: "rerank"}\n', "quoted.yaml"))
    plain = says("seed: 1\n", "plain.yaml")
    assert not is_rerank(plain) and is_rerank(plain, [str(middle)])
    assert not is_rerank(says("defaults: base.yaml\nsystem: conversations\n", "other.yaml"))


def test_a_run_of_an_inheriting_config_goes_to_the_right_pipeline(tmp_path: Path) -> None:
    world(tmp_path)
    (tmp_path / "heir.yaml").write_text("defaults: films.yaml\n")
    settings = [*SMALL, "knowledge.writer=none", f"out={tmp_path / 'run'}"]
    refused = CliRunner().invoke(app, ["run", str(tmp_path / "heir.yaml"), *settings])
    assert refused.exit_code == 2 and "set align.rounds=0" in refused.output


def test_a_model_that_is_given_learns_composed_texts_first(tmp_path: Path) -> None:
    """Three of them, by the settings of the writer; then it writes, and the run goes on as with a small writer."""
    shape = LMConfig(layers=1, heads=1, width=16, positions=1024, vocabulary=300)
    lm, tokenizer = small_writer(["liked: Film 1"], shape)
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}"
    lm.save_pretrained(tmp_path / "given")
    tokenizer.save_pretrained(tmp_path / "given")
    own = ["knowledge.tune=true", f"knowledge.model={tmp_path / 'given'}", "knowledge.composed=3", "writer.lora=2"]
    config = load_config(world(tmp_path), [*SMALL, *own, "align.rounds=0", f"out={tmp_path / 'run'}"])
    run = run_rerank(config, only="prepare").folder
    run_rerank(config, only="knowledge")
    assert json.loads((run / "knowledge" / "sft" / "done.json").read_text())["texts"] == 3
    assert (run / "knowledge" / "sft" / "writer" / "model.safetensors").is_file()
    assert len(load_texts(run / "knowledge")) == 40


def test_of_a_servers_texts_the_best_are_chosen_and_nothing_is_tuned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text of a few words, drawn by prompt and seed alone; what would tune the server's model is refused."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)

    def answer(body: dict[str, Any], number: int) -> Reply:
        drawn = np.random.default_rng([body["seed"], len(body["messages"][0]["content"])]).permutation(GENRES)
        return message(content=f"Likes {drawn[0]} and {drawn[1]}.")

    with serving() as server:
        server.answer = answer
        endpoint = ["knowledge.writer=endpoint", f"knowledge.url={server.url}", "knowledge.model=m"]
        settings = [*SMALL, *endpoint, "ranker_seeds=1", "strong=false", f"out={tmp_path / 'run'}"]
        config = world(tmp_path)
        refused = CliRunner().invoke(app, ["run", str(config), *settings])
        assert refused.exit_code == 2 and "align.method=best_of_n" in refused.output and not server.asked
        run = run_rerank(load_config(config, [*settings, *BEST_OF_N])).folder
    first, chosen = load_texts(run / "knowledge"), load_texts(run / "align" / "round1")
    assert first.keys() == chosen.keys() and first != chosen
    assert len(server.asked) == len(
        {(b["messages"][0]["content"], b["seed"], b["temperature"]) for *_, b in server.asked}
    )
    assert "round 1" in {row.arm for row in load_rows(run / "results.json")}
