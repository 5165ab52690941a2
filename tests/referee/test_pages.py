"""Lists, replies, leaks, published numbers, the tables and the page."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tiny_runs import CONTEXTS, ITEMS, SCORES, make_run
from typer.testing import CliRunner

from tacit.catalog import Catalog
from tacit.cli.main import app
from tacit.referee.cases import Case, Cases, cases
from tacit.referee.form import Context
from tacit.referee.judge import Settings, judge
from tacit.referee.leaks import audit, same_items
from tacit.referee.lists import best
from tacit.referee.protocols import NAMES, named
from tacit.referee.published import beside, published
from tacit.referee.read import read_run
from tacit.referee.tables import save, terminal
from tacit.report.referee import write_page
from tacit.types import Dialogue, Item, Turn

FEW = Settings(draws=20)


def test_lists_by_hand(tmp_path: Path) -> None:
    """Best two: c a, c a and a b; without what was named: a b (b before d, as in the catalogue), d e, a b."""
    run = make_run(tmp_path / "mine")
    assert run.scores is not None
    shown, masked = (best(cases(run), run.scores, masked, 2).tolist() for masked in (False, True))
    assert shown == [[2, 0], [2, 0], [0, 1]]
    assert masked == [[0, 1], [3, 4], [0, 1]]
    verdict = judge([run], ["full"], FEW)
    whole = {row.name: row.value for row in verdict.rows if row.slice == "lists"}
    assert whole["coverage@5"] == 1.0 and whole["Gini@5"] == 0.0  # all five items, equally often
    assert "coverage@10" not in whole  # there are no ten items
    assert whole["novelty@5"] == pytest.approx(np.mean(-np.log2(np.array([7, 4, 3, 2, 1]) / 17)))
    pairs = {(1, 2): 1 / 2, (1, 4): 1.0, (2, 4): 1 / 2}  # comedies share a genre
    assert whole["diversity@5"] == pytest.approx(1 - sum(pairs.values()) / 10)


def test_replies_by_hand(tmp_path: Path) -> None:
    """Two of three contexts have both; the exact reply "Big" scores 1 on single words and 0 on four."""
    rows = {
        row.name: row for row in judge([make_run(tmp_path / "mine")], ["full"], FEW).rows if row.protocol == "replies"
    }
    assert rows["BLEU (sacrebleu)"].n == 2 and "version:" in rows["BLEU (sacrebleu)"].note
    brevity = 100 * np.exp(1 - 5 / 3)  # "see alien !" beside "see alien or big !"
    assert rows["bleu@1 (CRSLab, KGSF, UniCRS)"].value == pytest.approx((100 + brevity) / 2)
    assert rows["bleu@4 (CRSLab, KGSF, UniCRS)"].value == pytest.approx(0.0)
    assert rows["distinct-1 (per reply; KGSF, UniCRS, MESE)"].value == 4 / 2  # see, alien, !, big
    assert rows["distinct-1 (per word; Li et al.)"].value == 1.0


def test_replies_of_two_systems_are_compared_where_both_answered(tmp_path: Path) -> None:
    said = [replace(CONTEXTS[0], reply=CONTEXTS[0].reference), *CONTEXTS[1:]]
    one, two = make_run(tmp_path / "one", "one"), make_run(tmp_path / "two", "two", said)
    found = {row.name: row.value for row in judge([one, two], ["full"], FEW).rows if row.against and not row.k}
    assert found["bleu@4 (CRSLab, KGSF, UniCRS)"] == pytest.approx(100 / 2)
    assert found["BLEU (sacrebleu)"] is not None and found["BLEU (sacrebleu)"] > 0
    fewer = make_run(tmp_path / "fewer", "fewer", [replace(CONTEXTS[0], reply=None), *CONTEXTS[1:]])
    assert not [row for row in judge([one, fewer], ["full"], FEW).rows if row.against and row.protocol == "replies"]


def test_leaks_by_hand(tmp_path: Path) -> None:
    """b is named before its second case; Elf's title is said without a mark; the twin of e is another id of Elf."""
    items = [*ITEMS, Item("e2", "Elf, 2003", "Elf (2003). Comedy.")]
    long = replace(CONTEXTS[0], reference="See Alien or Big tonight!")
    told = replace(CONTEXTS[2], said=(("user", 'have you seen "Elf"?'),), mentioned=("e2",))
    scores = np.concatenate([SCORES, np.zeros((3, 1))], axis=1)
    run = make_run(tmp_path / "mine", contexts=[long, CONTEXTS[1], told], scores=scores, catalog=Catalog(items))
    training = [
        Dialogue("1", "ann", (Turn("user", "I liked Clue"), Turn("agent", "See Alien or Big tonight!"))),
        Dialogue("t", "zoe", (Turn("user", "?"), Turn("agent", "Elf"))),
    ]
    found = {finding.name: finding for finding in audit(cases(run), training)}
    counts = {name: (finding.count, finding.of) for name, finding in found.items()}
    assert list(counts.values()) == [
        (1, 4),  # repeated
        (1, 4),  # Elf in words
        (0, 3),  # as many messages as turns, or fewer
        (0, 1),  # the reply of five words is not said before
        (1, 6),  # e = e2
        (1, 4),  # e is new by its id alone
        (1, 2),  # dialogue 1
        (1, 3),  # 1:1 with its reply
        (1, 1),  # its reply, the only one of five words
        (1, 2),  # ann
    ]
    unknown = audit(cases(run), None)[-4:]
    assert all(finding.count is None and "--training" in finding.note for finding in unknown)


def found_leaks(
    folder: Path, context: Context, training: list[Dialogue] | None = None
) -> dict[str, tuple[int | None, int]]:
    """Name of the finding → count and of how many, of a run file of one context."""
    run = make_run(folder, contexts=[context], scores=SCORES[:1])
    return {finding.name: (finding.count, finding.of) for finding in audit(cases(run), training)}


@pytest.mark.parametrize(("user", "agent"), [("user", "agent"), ("seeker", "recommender"), ("User", "Assistant")])
def test_a_context_in_training_is_found_whatever_its_speakers_are_called(tmp_path: Path, user: str, agent: str) -> None:
    said = ((user, "Any long film?"), (agent, "what  kind"), (user, "Crime please"))
    context = replace(CONTEXTS[0], turn=3, said=said, reference="Then Heat")
    turns = (Turn("user", "any long film?"), Turn("agent", "What kind"), Turn("user", "crime please"))
    name = "contexts that stand in training word for word with their reference reply"
    seen, other = (Dialogue("t", "zoe", (*turns, Turn("agent", reply))) for reply in ("then Heat", "then Big"))
    assert found_leaks(tmp_path / "seen", context, [seen])[name] == (1, 1)
    assert found_leaks(tmp_path / "other", context, [other])[name] == (0, 1)


def test_what_is_said_later_is_found_in_a_context(tmp_path: Path) -> None:
    """Turn 1 has one message before it; three stand there, and the second is the reference reply."""
    said = (("user", "Any film?"), ("agent", "You could see  Big tonight, really"), ("user", "ok"))
    context = replace(CONTEXTS[0], said=said, reference="you could see Big tonight, really")
    later = "contexts of more messages than stand before their turn"
    own = "reference replies of 5 words or more that their own context says"
    found = found_leaks(tmp_path / "later", context)
    assert (found[later], found[own]) == ((1, 1), (1, 1))
    found = found_leaks(tmp_path / "clean", replace(context, said=said[:1]))
    assert (found[later], found[own]) == ((0, 1), (0, 1))
    assert found_leaks(tmp_path / "unknown", replace(context, said=None))[later] == (None, 0)


def test_an_item_may_be_one_with_two_others(tmp_path: Path) -> None:
    """e shares its title with t and its text with x: either of them named before is e under another id."""
    items = [*ITEMS, Item("t", "Elf (2003)", "Another text."), Item("x", "Elf, again", ITEMS[4].text)]
    for twin, count in (("t", 1), ("x", 1), ("a", 0)):
        context = replace(CONTEXTS[2], mentioned=(twin,))
        run = make_run(tmp_path / twin, contexts=[context], scores=np.zeros((1, 7)), catalog=Catalog(items))
        found = {finding.name: finding.count for finding in audit(cases(run), None)}
        assert found["gold items that count as new and are a named item by another id"] == count


def test_many_items_of_one_title_take_little_memory_and_little_room(tmp_path: Path) -> None:
    """20,000 nameless items are one group; every pair of them would be 400 million."""
    catalog = Catalog([Item(str(k), "Unknown", f"Unknown {k}") for k in range(20_000)])
    context = Context("1:1", "1", 1, ("0",), ("1",))
    found = audit(Cases((Case(0, "1:1", 0, (1,)),), (context,), catalog, "films"), None)
    groups = next(finding for finding in found if finding.name.startswith("groups"))
    assert groups.count == 1 and groups.examples == ("0 = 1 = 2 and 19,997 more",)
    assert next(finding for finding in found if "another id" in finding.name).count == 1


def test_replies_that_cannot_be_compared_are_told(tmp_path: Path) -> None:
    one = make_run(tmp_path / "one", "one")
    silent = make_run(tmp_path / "silent", "silent", [replace(one, reference=None) for one in CONTEXTS])
    assert (
        "replies: silent has 2 replies and no 'reference' to any, so no BLEU" in judge([silent], ["full"], FEW).remarks
    )
    other = make_run(tmp_path / "other", "other", [replace(CONTEXTS[0], reference="Big"), *CONTEXTS[1:]])
    fewer = make_run(tmp_path / "fewer", "fewer", [replace(CONTEXTS[0], reply=None), *CONTEXTS[1:]])
    for run, alone, unlike in ((other, 0, 1), (fewer, 1, 0)):
        verdict = judge([one, run], ["full"], FEW)
        assert verdict.remarks == [
            f"replies: no differences of {run.system} and one: 0 contexts are answered by the one alone, {alone} by "
            f"the other, and {unlike} of the rest have another reference"
        ]
        assert not [row for row in verdict.rows if row.against and row.protocol == "replies"]


def test_whole_numbers_of_64_bits_keep_their_order_in_lists(tmp_path: Path) -> None:
    """2^62 + 0 … 4: as float64 they would all be equal, and the catalogue's order would stand."""
    run = make_run(tmp_path / "mine")
    np.save(tmp_path / "mine" / "scores.npy", np.array([[0, 1, 2, 3, 4]] * 3) + 2**62)
    run = read_run(tmp_path / "mine")
    assert run.scores is not None and best(cases(run), run.scores, False, 3).tolist() == [[4, 3, 2]] * 3
    assert best(cases(run), run.scores, True, 2).tolist() == [[4, 3], [4, 3], [4, 3]]


def test_items_without_letters_are_not_one() -> None:
    assert same_items(Catalog([Item("x", "!", "!"), Item("y", "?", "?"), Item("z", "!!", "!!")])) == []


def test_published_numbers_stand_beside_their_own_protocol_alone() -> None:
    rows = published()
    assert len(rows) > 40 and all(row.source and row.values for row in rows)
    assert {row.system for row in beside("redial", named("sampled-99"), "all")} == {"HARPO"}
    assert {row.system for row in beside("redial", named("uniform-99"), "all")} == {"HARPO"}
    assert not beside("redial", named("popularity-99"), "all") and not beside("films", named("full"), "all")
    new = {row.system: row.values["HR@10"] for row in beside("redial", named("standard"), "new")}
    assert new["ReFICR"] == 0.213 and new["GPT-4, zero-shot"] == 0.201
    assert "GPT-4, zero-shot" not in {row.system for row in beside("redial", named("full"), "new")}  # seen are masked
    assert {row.system for row in beside("redial", named("full"), "all")} >= {"GCRS", "UniCRS", "KBRD (its paper)"}
    placed = [row for row in rows if any(row in beside(row.dataset, named(name), row.slice) for name in NAMES)]
    assert len(placed) == len(rows)


def test_tables_json_and_page(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / name, name, dataset="redial") for name in ("<one>", "two")]
    verdict = judge(runs, ["standard", "uniform-99"], FEW)
    text = terminal(verdict)
    assert "published under the same protocol" in text and "ReFICR" in text and "HARPO" in text
    assert "**standard** (new" in text and "two − <one>" in text and "leaks, two" in text
    content = json.loads(save(verdict, tmp_path / "out", 0).read_text())
    assert content["systems"]["two"]["cases"] == 4 and len(content["systems"]["two"]["sha256"]["scores.npy"]) == 64
    assert {row["protocol"] for row in content["published"]} == {"standard", "uniform-99"}
    page = write_page(verdict, tmp_path / "out").read_text()
    assert "The same scores under each protocol" in page and "GCRS" in page
    assert "<one>" not in page and "&lt;one&gt;" in page


def test_the_command(tmp_path: Path) -> None:
    make_run(tmp_path / "mine")
    (tmp_path / "train.jsonl").write_text(
        json.dumps({"id": "1", "user": "ann", "turns": [{"speaker": "user", "text": "I liked Clue"}]}) + "\n"
    )
    words = ["referee", str(tmp_path / "mine"), "--protocol", "full", "--draws", "20", "--slice", "liked"]
    told = CliRunner().invoke(
        app, [*words, "--training", str(tmp_path / "train.jsonl"), "--out", str(tmp_path / "out")]
    )
    assert told.exit_code == 0, told.output
    assert "**full** (liked" in told.output and "test dialogues in training by id: 1 of 2" in told.output
    assert (tmp_path / "out" / "report.html").is_file() and (tmp_path / "out" / "referee.json").is_file()
    for wrong in (["--slice", "none"], ["--protocol", "none"], ["--training", "none"], ["--candidates", "none"]):
        told = CliRunner().invoke(app, [*words, *wrong])
        assert told.exit_code == 2, told.output
