"""The report of a small run folder: whole, honest about what is missing, and self-contained."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tacit.metrics.results import Row, save_rows
from tacit.report.dialogue import evidence as report_process
from tacit.report.dialogue import examples as report_dialogues
from tacit.report.dialogue.report import write_report
from tacit.report.page import short
from tacit.run.folder import MetricLog
from tacit.types import InputError

WORDS = ["You could watch Alien (1979).", "How about The Blob (1958)?", "What do you like?", "Enjoy <b>it</b>!"]
RANKED = (
    ("popularity", 0.04),
    ("copy", 0.0),
    ("co-occurrence", 0.09),
    ("co-occurrence+copy", 0.09),
    ("sft", 0.11),
    ("ppo", 0.12),
)


def ranking_rows(seed: int, gain: tuple[float, float]) -> list[Row]:
    rows = []
    places = (("redial-standard", "full catalogue 6\u202f924"), ("sampled-99", "1 + 99 uniform"))
    for protocol, candidates in places:
        for slice in ("all", "new", "repeated"):
            for metric in ("HR", "NDCG", "MRR"):
                for k in (1, 5, 10, 50):
                    for model, level in RANKED:
                        v = level * (0.3 + 0.1 * k**0.6) * (1 if metric == "HR" else 0.6)
                        low, high = v * 0.92, v * 1.08
                        rows.append(
                            Row("redial", protocol, slice, metric, k, v, low, high, 4472, model, seed, candidates)
                        )
                    low, high = gain
                    difference = (low + high) / 2
                    here = ("redial", protocol, slice, metric, k)
                    rows.append(Row(*here, difference, low, high, 4472, "ppo", seed, candidates, against="sft"))
                    rows.append(Row(*here, 0.08, 0.07, 0.09, 4472, "ppo", seed, candidates, against="popularity"))
                    rows.append(Row(*here, 0.01, -0.01, 0.03, 4472, "ppo", seed, candidates, against="co-occurrence"))
    return rows


USER_METRICS = ("hidden utility", "hidden utility a turn", "satisfaction", "engagement", "accepted", "agent turns")


def other_rows(seed: int) -> list[Row]:
    rows = []
    users, messages = ("redial", "simulated-users", "fresh users"), ("redial", "replies", "test agent messages")
    for model, against, v in (("sft", "", 0.42), ("ppo", "", 0.47), ("ppo", "sft", 0.05)):
        for metric in USER_METRICS:
            value = (None, v, v - 0.02, v + 0.02)
            rows.append(Row(*users, metric, *value, 500, model, seed, "", True, against=against))
        bleu = (None, 5 * v, 4 * v, 6 * v)
        rows.append(Row(*messages, "sentence BLEU-4", *bleu, 500, model, seed, against=against))
        if not against:
            note = "nrefs:1|case:lc"
            rows.append(Row(*messages, "corpus BLEU", None, 3 + v, 2, 4, 500, model, seed, "", False, note))
            rows.append(Row(*messages, "distinct-2", None, v, None, None, 500, model, seed))
            rows.append(Row(*messages, "out-of-catalogue", None, 0.0, None, None, 900, model, seed))
    rows.append(Row(*messages, "distinct-2", None, 0.6, None, None, 500, "human", seed))
    gain = ("satisfaction gain %", None, 7.1, 4.0, 10.2, 500)
    rows.append(Row(*users, *gain, "ppo", seed, "", True, against="sft"))
    lost = ("unlinked share", None, 0.25, 0.2, 0.3, 80)
    rows.append(Row("redial", "written-titles", "all contexts", *lost, "literal", 0))
    return rows


def conversations(better: float, generator: np.random.Generator) -> pl.DataFrame:
    rows = []
    for user in range(12):
        context = f"user: I like horror & space <{user}>."
        total = float(generator.random() + better)
        for step in range(3):
            reply = WORDS[(user + step) % 4]
            rows.append(
                {
                    "dialogue": f"evaluate-{user}",
                    "step": step,
                    "context": context,
                    "reply": reply,
                    "slate": ["a", "b"] if step else [],
                    "ended": ["accepted", "left", "cut"][user % 3] if step == 2 else None,
                    "hidden_utility": total / 3,
                    "hidden_total": total,
                }
            )
            context += f"\nagent: {reply}\nuser: ok {step}"
    return pl.DataFrame(rows)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return build(tmp_path / "redial-seed0")


def build(folder: Path, gain: tuple[float, float] = (-0.004, 0.009)) -> Path:
    generator = np.random.default_rng(0)
    (folder / "evaluate" / "users").mkdir(parents=True)
    (folder / "reward").mkdir()
    (folder / "users").mkdir()
    (folder / "sft" / "policy").mkdir(parents=True)
    items = [{"id": "a", "title": "Alien (1979)", "text": "x"}, {"id": "b", "title": "The Blob (1958)", "text": "y"}]
    (folder / "sft" / "policy" / "catalog.jsonl").write_text("\n".join(map(json.dumps, items)))
    (folder / "prepare").mkdir()
    observed = {"dwell": 0.25, "clicks": 0.0, "left": 1.0}
    counts = {"dialogues": 9007, "turns": 40, "agent turns": 20, "users": 7, "items": 5, "observed": observed}
    (folder / "prepare" / "data.json").write_text(json.dumps({"items": 6924, "train": counts}))
    (folder / "evaluate" / "data.json").write_text(json.dumps({"test": counts | {"dialogues": 1342}}))
    (folder / "config.yaml").write_text("data:\n  name: redial\nreward:\n  force: false\nseed: 0\n")
    (folder / "run.json").write_text(
        json.dumps({"seed": 0, "commit": "abcdef0123456789", "versions": {"torch": "2.13.0"}, "later": []})
    )
    save_rows(folder / "results.json", [*ranking_rows(0, gain), *other_rows(0)])
    log = MetricLog(folder / "ppo" / "metrics.jsonl")
    for step in range(1, 13):
        noise = float(generator.normal(0, 0.02))
        values = {"reward": 0.05 * step + noise, "hidden_utility": 0.4 + 0.008 * step + noise / 2}
        for name in (
            "loss_text",
            "loss_slate",
            "loss_value",
            "entropy_text",
            "entropy_slate",
            "kl_text",
            "kl_slate",
            "channel_engagement",
        ):
            values[name] = float(generator.random()) / step
        log.append(step, **values)
    cheat = {"mean": -1.0, "sft": 0.0, "difference": -1.0, "ci_low": -1.1, "ci_high": -0.9}
    validation = {
        "pearson": {
            "engagement": {"r": 0.71, "n": 300},
            "relevance": {"r": None, "n": 0},
            "label": {"r": 0.66, "n": 9},
        },
        "liked": {"auc": 0.58, "popularity_auc": 0.55, "length_auc": 0.52, "n": 240, "positives": 200},
        "length": {"correlation": 0.04, "padding_gain": -0.1},
        "cheats": {name: cheat for name in ("title_spam", "flattery", "empty_reply")},
        "thresholds": {"min_engagement_pearson": 0.6},
        "reasons": [],
        "passed": True,
    }
    (folder / "reward" / "validation.json").write_text(json.dumps(validation))
    calibration = [
        {
            "quantity": "latency, median",
            "unit": "s",
            "data": 18.4,
            "simulated": 20.2,
            "emulated": False,
            "source": "fitted",
        },
        {"quantity": "dwell, median", "unit": "s", "data": None, "simulated": 9.1, "emulated": True, "source": "ours"},
    ]
    (folder / "users" / "world.json").write_text(json.dumps({"calibration": calibration}))
    for model, better in (("sft", 0.0), ("ppo", 0.1)):
        conversations(better, generator).write_parquet(folder / "evaluate" / "users" / f"{model}.parquet")
    points = {"x": generator.random(60), "y": generator.random(60), "hidden_utility": generator.random(60)}
    table = pl.DataFrame(points).with_columns(
        model=pl.Series(["sft", "ppo"] * 30), method=pl.lit("PCA"), reply=pl.lit("x")
    )
    table.write_parquet(folder / "evaluate" / "map.parquet")
    return folder


class Balanced(HTMLParser):
    """Notes every element that is not closed where it should be."""

    VOID = frozenset({"meta", "br", "img", "link", "hr", "use", "path", "rect", "line", "circle", "image"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)


def check(page: str) -> None:
    parser = Balanced()
    parser.feed(page)
    assert not parser.wrong and not parser.open
    assert not re.search(r"(src|href)=\"(?!#|data:)", page), "nothing is fetched from outside"
    assert "@import" not in page and "url(http" not in page and "<script" not in page
    assert not re.search(r"\$[a-z]", page) and "nan" not in re.findall(r">\s*(nan)\s*<", page)


def test_a_whole_run(run: Path) -> None:
    path = write_report(run)
    page = path.read_text(encoding="utf-8")
    check(page)
    assert path.name == "report.html" and page == write_report(run).read_text(encoding="utf-8")
    assert "<strong>Not told from zero</strong> in HR@1 (+0.0025, −0.0040 to 0.0090), HR@5" in part(page, "short")
    assert "<strong>Higher</strong> in hidden utility (+0.050, 0.030 to 0.070)" in part(page, "short")
    assert "redial-standard, new items, full catalogue 6\u202f924, n=4\u202f472, seed 0" in page
    assert "25.0 % of the 80 titles it wrote" in page
    assert "popularity alone gets 45 to 48" in page
    assert page.count("<svg") >= 5 and "The Blob (1958)" in page and "Alien (1979)" in page
    assert "Enjoy &lt;b&gt;it&lt;/b&gt;!" in page and "horror &amp; space" in page
    assert "abcdef012345" in page and "name: redial" in page and "<strong>Passed</strong>" in page
    assert 'class="alert"' not in page


def test_emulated_numbers_say_so(run: Path) -> None:
    page = write_report(run).read_text(encoding="utf-8")
    label = '<span class="label">emulated</span>'
    for section in ("users", "training", "reward", "dialogues"):
        assert label in part(page, section), section
    assert "not observed" in page and ">emulated<" in page


def part(page: str, section: str) -> str:
    return page.split(f'<section id="{section}">')[1].split("</section>")[0]


def test_a_gain_is_claimed_only_off_zero_and_in_every_slice(tmp_path: Path) -> None:
    for name, gain, word in (("up", (0.001, 0.01), "Higher"), ("down", (-0.01, -0.001), "Lower")):
        page = write_report(build(tmp_path / name, gain)).read_text(encoding="utf-8")
        for slice in ("All", "New", "Repeated"):
            line = part(page, "short").split(f"<b>{slice} items</b>")[1].split("</li>")[0]
            assert f"<strong>{word}</strong> in HR@1" in line and "NDCG@5 (" in line and "Not told" not in line


def test_equal_policies_are_called_equal(tmp_path: Path) -> None:
    short_ = part(write_report(build(tmp_path / "same", (0.0, 0.0))).read_text(encoding="utf-8"), "short")
    assert "<strong>Equal</strong> in every case and every measure (HR@1, HR@5, HR@10, HR@50, NDCG@5)" in short_


def test_the_page_opens_with_the_data_and_asks_the_baselines(run: Path) -> None:
    page = write_report(run, title="Films & more").read_text(encoding="utf-8")
    assert "<title>Films &amp; more</title>" in page and "<h1>Films &amp; more</h1>" in page
    assert page.index('id="data"') < page.index('id="short"') < page.index('id="results"')
    data = part(page, "data")
    for words in ("9\u202f007", "1\u202f342", "6\u202f924 items", "25.0 %", "Never observed in this data: clicks."):
        assert words in data, words
    lines = part(page, "short").split("Does it beat popularity and co-occurrence?")[1]
    assert "<strong>Higher</strong> in HR@5 against popularity (+0.0800, 0.0700 to 0.0900)" in lines
    assert "<strong>Not told from zero</strong> in HR@5 against co-occurrence (+0.0100, −0.0100 to 0.0300)" in lines


def test_training_charts_fold_away_behind_one(run: Path) -> None:
    training = part(write_report(run).read_text(encoding="utf-8"), "training")
    assert training.count("<details>") == 1 and training.count("<svg") == 2
    assert training.index("<svg") < training.index("<details>")


def test_who_chose_where_training_ends_is_told(run: Path) -> None:
    assert "held-out users" not in part(write_report(run).read_text(encoding="utf-8"), "training")
    log = MetricLog(run / "ppo" / "metrics.jsonl")
    looked = {1: 0.4, 3: 0.5, 4: 0.3}  # not during value warm-up
    for row in (rows := log.rows()):
        row |= {"held_out_utility": looked[row["step"]]} if row["step"] in looked else {}
    (run / "ppo" / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (run / "ppo" / "done.json").write_text(json.dumps({"best_iteration": 2}))
    training = part(write_report(run).read_text(encoding="utf-8"), "training")
    assert "after <strong>2</strong> of 12 iterations" in training and "held-out users" in training


def with_data(run: Path, name: str) -> str:
    for file in ("results.json", "config.yaml"):
        text = (run / file).read_text(encoding="utf-8")
        (run / file).write_text(text.replace("redial", name), encoding="utf-8")
    return write_report(run).read_text(encoding="utf-8")


def test_only_people_are_called_people(run: Path) -> None:
    page = write_report(run).read_text(encoding="utf-8")
    assert "the human recommender named next" in page and "+17.1 % on ReDial" in page
    page = with_data(run, "logs")
    assert "human" not in page and "ReDial" not in page and "people's replies" not in page
    assert "the logged agent named next" in page and "logged replies" in part(page, "language")


def test_a_made_up_world_says_that_nobody_said_it(run: Path) -> None:
    page = with_data(run, "synthetic")
    assert "human" not in page and "ReDial" not in page and "nobody said any of it" in part(page, "data")
    assert "says nothing about people" in part(page, "emulated") and "Not emulated" not in page


def test_few_cases_are_one_line(run: Path) -> None:
    rows = [
        replace(row, n=12) if row.slice == "repeated" else row
        for row in [*ranking_rows(0, (0.001, 0.01)), *other_rows(0)]
    ]
    save_rows(run / "results.json", rows)
    page = write_report(run).read_text(encoding="utf-8")
    assert "<b>Repeated items</b> (12 cases): too few to say anything." in part(page, "short")
    assert "<strong>Repeated items</strong>: 12 cases, too few for a table." in part(page, "results")
    assert "Too few turns to say anything: relevance (0 turns), label (9 turns)." in part(page, "reward")


def test_an_old_run_has_a_report_too(run: Path) -> None:
    """No card of the data, and differences named as they once were: "ppo-sft", of these two alone."""
    records = json.loads((run / "results.json").read_text(encoding="utf-8"))
    old = [record for record in records if record["against"] in ("", "sft")]
    for record in old:
        record["model"] = "ppo-sft" if record.pop("against") else record["model"]
        record.pop("arm")
    (run / "results.json").write_text(json.dumps(old), encoding="utf-8")
    for path in (run / "prepare" / "data.json", run / "evaluate" / "data.json"):
        path.unlink()
    (run / "prepare" / "done.json").write_text('{"items": 6924, "train": 9007, "valid": 999}')
    page = write_report(run).read_text(encoding="utf-8")
    check(page)
    assert "9007 training and 999 validation dialogues" in part(page, "data")
    assert "holds no paired difference" in part(page, "short") and "in HR@1 (+0.0025" in part(page, "short")


def test_a_user_who_takes_an_item_is_no_praise_of_the_words(run: Path) -> None:
    told = part(write_report(run).read_text(encoding="utf-8"), "dialogues")
    assert "happy" not in told and "they never read what it says" in told
    for path in (run / "evaluate" / "users").glob("*.parquet"):
        table = pl.read_parquet(path)
        table.with_columns(pl.lit(0.0).alias("no language")).write_parquet(path)
    told = part(write_report(run).read_text(encoding="utf-8"), "dialogues")
    assert "happy" not in told and "they never read" not in told and "whether they are language" in told


def test_a_forced_reward_is_red(run: Path) -> None:
    path = run / "reward" / "validation.json"
    record = json.loads(path.read_text()) | {
        "passed": False,
        "reasons": ["Engagement Pearson is 0.21, 0.6 is asked for."],
    }
    record["pearson"]["engagement"]["r"] = 0.21
    path.write_text(json.dumps(record))
    page = write_report(run).read_text(encoding="utf-8")
    check(page)
    assert page.count('class="alert"') == 2 and "used all the same" in page
    assert '<td class="bad">0.210' in page


def test_what_could_not_be_examined_is_no_failure(run: Path) -> None:
    path = run / "reward" / "validation.json"
    record = json.loads(path.read_text())
    sentence = "Engagement: not enough turns: 12 of 50; give more dialogues with feedback."
    cheat = {"mean": 1.0, "sft": 0.0, "difference": 2.5, "ci_low": -1.4, "ci_high": 6.4, "n": 60.0}
    record |= {"passed": False, "undecided": [sentence], "held_out": "logged turns", "cheats": {"echo": cheat}}
    record["pearson"]["engagement"] |= {"n": 300.0, "ci_low": 0.6, "ci_high": 0.8}
    record["units"] = {"pearson": "dialogues", "cheats": "users"}
    path.write_text(json.dumps(record))
    told = part(write_report(run).read_text(encoding="utf-8"), "reward")
    assert "Not examined in full" in told and sentence in told and "Failed" not in told
    assert "held-out logged turns" in told and "the same 60 contexts" in told
    assert 'class="bad"' not in told, "an interval that holds zero fails no cheat"
    assert "Intervals are 95 % over dialogues" in told and "of the difference over users is above" in told


def test_slices_of_what_people_did_stand_beside_the_others(run: Path) -> None:
    rows = ranking_rows(0, (0.1, 0.2))
    liked = [replace(row, slice="liked", n=60) for row in rows if row.slice == "all"]
    save_rows(run / "results.json", [*rows, *liked, *(replace(row, slice="unseen", n=3) for row in liked)])
    page = write_report(run).read_text(encoding="utf-8")
    assert "those that the person says it liked" in part(page, "short")
    assert "<strong>Liked items.</strong>" in part(page, "results")
    assert "<strong>Unseen items</strong>: 3 cases, too few for a table." in part(page, "results")
    assert "were clicked" not in page


def test_a_run_that_has_barely_begun(tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    page = write_report(folder).read_text(encoding="utf-8")
    check(page)
    for remedy in ("tacit evaluate", "tacit ppo", "tacit reward"):
        assert remedy in page
    with pytest.raises(InputError, match="is not a run folder"):
        write_report(tmp_path / "nowhere")


@pytest.mark.parametrize("part", ["ppo", "evaluate", "reward", "users", "results.json", "run.json", "config.yaml"])
def test_any_part_may_be_missing(run: Path, part: str) -> None:
    target = run / part
    shutil.rmtree(target) if target.is_dir() else target.unlink()
    check(write_report(run).read_text(encoding="utf-8"))


def test_several_runs_stand_side_by_side(run: Path, tmp_path: Path) -> None:
    other = build(tmp_path / "only-engagement")
    page = write_report(run, beside=[other]).read_text(encoding="utf-8")
    check(page)
    beside = page.split('id="runs"')[1]
    assert "Beside other runs" in page and "only-engagement" in beside and "± sd" not in beside
    numbers = (other / "results.json").read_text(encoding="utf-8")
    (other / "results.json").write_text(numbers.replace('"seed": 0', '"seed": 1'), encoding="utf-8")
    page = write_report(run, beside=[other]).read_text(encoding="utf-8")
    check(page)
    assert "mean ± sd of 2 seeds" in page and "± 0.000" in page


def test_reward_hacking_is_called_by_its_name() -> None:
    up, down = [0.1 * k for k in range(9)], [1 - 0.1 * k for k in range(9)]
    assert "exploits the reward model" in report_process.hacking(up, down)
    assert report_process.hacking(up, up) == "" and report_process.hacking([1.0], [1.0]) == ""
    assert report_process.hacking(up, [float("nan")] * 9) == ""


def test_dialogues_are_chosen_by_rule_and_told_once() -> None:
    sft = pl.DataFrame({"dialogue": ["a", "b", "c"], "hidden_total": [0.5, 0.5, 0.5]})
    ppo = pl.DataFrame({"dialogue": ["a", "b", "c"], "hidden_total": [0.4, 0.9, 0.6]})
    assert [user for _, user, *_ in report_dialogues.chosen(sft, ppo)] == ["b", "c", "a"]
    rows = conversations(0.0, np.random.default_rng(0)).filter(pl.col("dialogue") == "evaluate-1").to_dicts()
    told = report_dialogues.conversation(rows, {"a": "Alien"})
    assert told.count("ok 0") == 1 and told.count("ok 1") == 1 and "ok 2" not in told
    assert "<li>Alien</li><li>b</li>" in told and "The user leaves." in told
    assert report_dialogues.utterances("user: a\nb\nagent: c: d") == [("user", "a b"), ("agent", "c: d")]


def test_numbers_are_short() -> None:
    assert [short(x) for x in (0.1234, -0.0001, -0.5, 12.345, 12345.0)] == [
        "0.123",
        "0.000",
        "−0.500",
        "12.3",
        "12\u202f345",
    ]


@pytest.mark.skipif(shutil.which("chromium") is None, reason="chromium is not installed: the page is not rendered")
def test_a_browser_renders_it(run: Path, tmp_path: Path) -> None:
    picture = tmp_path / "report.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=900,1200"]
    command = [
        "chromium",
        *flags,
        f"--user-data-dir={tmp_path / 'profile'}",
        f"--screenshot={picture}",
        write_report(run).as_uri(),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    assert picture.stat().st_size > 20_000
