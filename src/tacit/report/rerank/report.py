"""A rerank run's folder → one self-contained HTML page: the protocol and its bounds, tables, pairs, example texts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from tacit.metrics.results import Row
from tacit.report import page
from tacit.report.page import Cell, short
from tacit.report.provenance import provenance
from tacit.report.rerank.paper import paper_tables
from tacit.report.rerank.tuning import tuning
from tacit.report.run_files import RunFiles
from tacit.rerank.align.pairs import Pair, read_pairs
from tacit.rerank.evaluate.rows import ALL_FEATURES, NAMES
from tacit.rerank.writer.prompts import filled

DIFFERENCE = "paired difference"
# The other differences stand in the table.
_LEADING = re.compile(rf"· (round \d+|descriptions) − (base|round 0|{ALL_FEATURES})$")


def write_rerank_report(run_folder: str | Path) -> Path:
    """Write ``report.html`` into the run folder."""
    folder = Path(run_folder)
    run = RunFiles.read(folder)
    card: dict[str, Any] = json.loads((folder / "evaluate" / "card.json").read_text(encoding="utf-8"))
    rounds = [read_round(path) for path in sorted((folder / "align").glob("round*")) if (path / "card.json").is_file()]
    sections = [
        ("results", "Does knowledge help, and does alignment?", _gains(run.rows)),
        ("paper", "The paper's tables, beside ours", paper_tables(run.rows, card["round chosen on validation"])),
        ("tables", "Every row, beside the bounds of its protocol", _table(run.rows)),
        ("rounds", "Feedback and pairs, round by round", rounds_table(rounds)),
        ("tuning", "How the writer was tuned", tuning(folder)),
        ("writing", "What alignment does to the texts", _writing(folder)),
        ("texts", "Best and worst texts of the same user", _texts(rounds)),
        ("protocol", "How the lists were made", _protocol(card)),
        ("config", "How this run was made", provenance(run)),
    ]
    meta = escape(f"commit {str(run.run.get('commit', 'unknown'))[:12]}, seed {run.run.get('seed', '?')}")
    return page.write(folder, meta, _lead(run.rows), sections)


def read_round(folder: Path) -> tuple[str, dict[str, Any], list[Pair]]:
    """(name, card, pairs) of one round."""
    return (
        folder.name.replace("round", "round "),
        json.loads((folder / "card.json").read_text(encoding="utf-8")),
        read_pairs(folder / "pairs.jsonl"),
    )


def _lead(rows: Sequence[Row]) -> str:
    """One sentence for each gain that texts make, with its interval, and whether zero lies inside it."""
    said = []
    for row in rows:
        asked = row.slice == DIFFERENCE and row.metric == "NDCG" and _LEADING.search(row.model)
        if asked and row.value is not None and row.ci_low is not None:
            verdict = (
                "above zero" if row.ci_low > 0 else "below zero" if (row.ci_high or 0) < 0 else "not told from zero"
            )
            gap = _gap(row)
            said.append(f"<li>{escape(row.model)}: {gap.text} [{escape(gap.small)}], {verdict}.</li>")
    return f"<p>Paired gains in NDCG@5 on test users, 95 % intervals over users:</p><ul>{''.join(said)}</ul>"


def _gains(rows: Sequence[Row]) -> str:
    gains = [row for row in rows if row.slice == DIFFERENCE]
    caption = "Paired on the same lists, ranker seeds averaged first; the interval is a bootstrap over test users."
    return _lines(gains, ["NDCG", "MAP (KAR)", "NDCG consumed"], caption)


def _gap(row: Row) -> Cell:
    """Signed, in four decimals: gains here are thousandths."""
    if row.value is None:
        return Cell("")
    return Cell(f"{'+' if row.value > 0 else ''}{short(row.value, 4)}", page.interval(row, 4))


def _table(rows: Sequence[Row]) -> str:
    plain = [row for row in rows if row.slice != DIFFERENCE]
    caption = (
        "NDCG consumed orders a list's consumed items among themselves: preference without exposure. A list with "
        "nothing liked counts as 0 everywhere. Small: 95 % interval over users."
    )
    return _lines(plain, list(NAMES.values()), caption)


def _lines(rows: Sequence[Row], metrics: Sequence[str], caption: str) -> str:
    """One line a model in the order of the rows, one column a metric."""
    cells = {(row.model, row.metric): row for row in rows}
    lines = []
    for model in dict.fromkeys(row.model for row in rows):
        note = next((row.note for row in rows if row.model == model and row.note), "")
        found = [cells.get((model, name)) for name in metrics]
        values = [_gap(row) if row is not None and row.slice == DIFFERENCE else page.value(row) for row in found]
        lines.append(("", [Cell(model, note, left=True), *values]))
    return page.table(["", *(f"{name}@5" for name in metrics)], lines, caption)


def rounds_table(rounds: Sequence[tuple[str, dict[str, Any], list[Pair]]]) -> str:
    if not rounds:
        return page.missing("No round of alignment was run.", "Set `align.rounds`.")
    cards = {name: card for name, card, _ in rounds}
    lines = [
        _line(label, [_agreement(card[of], what) for card in cards.values()])
        for label, of, what in (
            ("split-half agreement", "agreement", "rate"),
            ("NDCG@5 on the other half", "agreement", "margin"),
            ("agreement of the reward model", "model", "rate"),
            ("NDCG@5 on the lists", "model", "margin"),
            ("agreement of nearness", "nearness", "rate"),
            ("NDCG@5 on the lists", "nearness", "margin"),
        )
        if of in rounds[0][1]
    ]
    for name, value in rounds[0][1]["pairs"].items():
        if not isinstance(value, dict):
            lines.append(_line(name.replace("_", " "), [Cell(_plain(c["pairs"][name])) for c in cards.values()]))
            continue
        for band in value:
            lines.append(_line(f"… over {band} lists", [Cell(_plain(c["pairs"][name][band])) for c in cards.values()]))
    caption = (
        f"Texts are scored by {rounds[0][1]['scored_by']}. Agreement: the best and the worst text are chosen by it on "
        "one half of a user's lists, and their NDCG@5 is compared on the other; 0.5 is chance, and red where the "
        "interval holds it: such pairs are noise. The margin of the best of ten over few lists is mostly luck."
    )
    if "model" in rounds[0][1]:
        caption += (
            " Here a reward model chooses, fitted on all training users' feedback. Its agreement is between its best "
            "and worst text and the lists of users it was not fitted on; margins below are in its own units."
        )
    if "nearness" in rounds[0][1]:
        caption += (
            " Here nearness to the user's place among the ratings chooses, which asks no recommender (a control). Its "
            "agreement is between the nearest and the farthest text and the user's lists; margins below are in its "
            "own units."
        )
    return page.table(["", *cards], lines, caption)


def _line(label: str, cells: Sequence[Cell]) -> tuple[str, list[Cell]]:
    return "", [Cell(label), *cells]


def _agreement(agreement: dict[str, Any], what: str) -> Cell:
    found = agreement[what]
    interval = f"{short(found['low'], 4)} to {short(found['high'], 4)}"
    return Cell(short(found["value"], 4), interval, bad=agreement["rate"]["low"] <= 0.5)


def _writing(folder: Path) -> str:
    """Round by round: length, titles, and whether the writer was paid for saying things twice."""
    done = {"round 0": folder / "knowledge" / "done.json"}
    done |= {
        path.parent.name.replace("round", "round "): path
        for path in sorted((folder / "align").glob("round*/done.json"))
    }
    cards = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in done.items()}
    said = {name: card.get("texts", card) for name, card in cards.items()}
    if "titles" not in said["round 0"]:
        return page.missing("No writer was run.", "Set `knowledge.writer`.")
    measures = [
        "texts a user",
        "words",
        "titles",
        "different titles",
        "titles the prompt holds",
        "factors again",
        "stammering lines",
    ]
    lines = [
        ("", [Cell(name), *(Cell(short(values[one]) if one in values else "") for one in measures)])
        for name, values in said.items()
    ]
    caption = (
        "Means over texts that are read. A title that the prompt does not hold is invented; a factor comes again if "
        "a second line begins with it; a line stammers if it says a word twice. Gains that come with any of these are "
        "not to be trusted."
    )
    return page.table(["", *measures], lines, caption)


def _plain(value: object) -> str:
    if isinstance(value, list | tuple):
        return " / ".join(_plain(part) for part in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(part)}" for name, part in value.items())
    return short(value) if isinstance(value, float) else str(value)


def _texts(rounds: Sequence[tuple[str, dict[str, Any], list[Pair]]], shown: int = 4) -> str:
    parts = []
    for name, card, found in rounds:
        for pair in sorted(found, key=lambda pair: -pair.margin)[:shown]:
            lines = [
                ("", [Cell(label), Cell(text, left=True)])
                for label, text in (
                    ("asked", pair.prompt),
                    ("best", filled(pair.prompt, pair.chosen)),
                    ("worst", filled(pair.prompt, pair.rejected)),
                )
            ]
            by = f"{short(pair.margin)} in {card['scored_by']} over {pair.lists} lists"
            caption = f"{escape(name)}, user {escape(pair.user)}: {by}"
            parts.append(page.table(["", "text"], lines, caption))
    return "".join(parts) or page.missing("There are no pairs.", "Set `align.rounds`.")


def _protocol(card: dict[str, Any]) -> str:
    noise = {
        name: ", ".join(f"{what} {short(value, 4)}" for what, value in parts.items())
        for name, parts in card["standard deviations of NDCG@5"].items()
    }
    return (
        page.pairs({name: _plain(value) for name, value in card["protocol"].items()}, ("", "the lists"))
        + page.pairs({name: _plain(value) for name, value in card["settings"].items()}, ("", "settings"))
        + page.pairs(noise, ("", "standard deviation of NDCG@5"), "Where the noise of one run comes from.")
    )
