"""A rerank run's folder → one self-contained HTML page: the protocol and its bounds, tables, pairs, example texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from tacit.metrics.intervals import finite
from tacit.metrics.markdown import line_name, resampled
from tacit.metrics.results import Row, grouped
from tacit.report import page
from tacit.report.claims import point, points
from tacit.report.page import Cell, short
from tacit.report.provenance import provenance
from tacit.report.rerank.paper import paper_tables, paper_title
from tacit.report.rerank.tuning import tuning
from tacit.report.run_files import RunFiles
from tacit.rerank.align.pairs import Pair, read_pairs
from tacit.rerank.evaluate.rows import NAMES
from tacit.rerank.writer.prompts import filled
from tacit.run.files import read_json
from tacit.types import InputError

PARTS = {"train": "training", "valid": "validation", "test": "test"}
NOISE = "standard deviations of NDCG@5"  # a key of the card
PLACES = 4  # decimals of a difference: gains here are thousandths


def write_rerank_report(run_folder: str | Path, title: str = "") -> Path:
    """Write ``report.html`` into the run folder; ``title`` is its heading in place of the folder's name."""
    folder = Path(run_folder)
    run = RunFiles.read(folder)
    card = _card(folder / "evaluate" / "card.json", ("protocol", "round chosen on validation", "settings", NOISE))
    rounds = [read_round(path) for path in sorted((folder / "align").glob("round*")) if (path / "card.json").is_file()]
    sections = [
        ("data", "Your data", _data(card["protocol"])),
        ("short", "What happened", _headline(run.rows)),
        ("results", "Does knowledge help, and does alignment?", _gains(run.rows)),
        ("paper", paper_title(run.dataset), paper_tables(run.rows, card["round chosen on validation"])),
        ("tables", "Every row, beside the bounds of its protocol", _table(run.rows)),
        ("rounds", "Feedback and pairs, round by round", rounds_table(rounds)),
        ("tuning", "How the writer was tuned", tuning(folder)),
        ("writing", "What alignment does to the texts", _writing(folder)),
        ("texts", "Best and worst texts of the same user", _texts(rounds)),
        ("protocol", "How the lists were made", _protocol(card)),
        ("config", "How this run was made", provenance(run)),
    ]
    meta = escape(f"commit {str(run.run.get('commit', 'unknown'))[:12]}, seed {run.run.get('seed', '?')}")
    return page.write(folder, meta, LEAD, sections, title)


def read_round(folder: Path) -> tuple[str, dict[str, Any], list[Pair]]:
    """(name, card, pairs) of one round."""
    card = _card(folder / "card.json", ("pairs", "scored_by"))
    return folder.name.replace("round", "round "), card, read_pairs(folder / "pairs.jsonl")


def _card(path: Path, keys: Sequence[str] = ()) -> dict[str, Any]:
    """What a stage wrote of itself, which must have these keys."""
    remedy = f"delete {path.parent} and run the stage again."
    card = read_json(path, remedy)
    if missing := [key for key in keys if key not in card]:
        raise InputError(f"{path} is damaged, it lacks {missing[0]!r}: {remedy}")
    return card


LEAD = (
    "<p>A language model (the <em>writer</em>) writes a text about what each user likes; a <em>reranker</em> reads it "
    "and orders a short list for that user. In every <em>round</em> of alignment the writer is tuned towards what "
    "made the rerankers order better. This page says whether texts help, whether alignment helps beyond that, and how "
    "far each number can be trusted.</p>"
)


def _data(protocol: Mapping[str, Any]) -> str:
    """How much there is, and how it was divided."""
    parts = {title: protocol[part] for part, title in PARTS.items() if isinstance(protocol.get(part), Mapping)}
    measures = dict.fromkeys(name for part in parts.values() for name in part)
    lines = [("", [Cell(name), *(Cell(_size(part.get(name))) for part in parts.values())]) for name in measures]
    sizes = ", ".join(f"{grouped(protocol[name])} {name}" for name in ("users", "items", "ratings") if name in protocol)
    caption = (
        f"{escape(str(protocol.get('data', '')))}: {sizes}. A positive is an item of the list that the user liked."
    )
    return page.table(["", *parts], lines, caption)


def _size(value: Any) -> str:
    return grouped(value) if isinstance(value, int) else "" if value is None else _plain(value)


def _headline(rows: Sequence[Row]) -> str:
    """Every comparison in NDCG@5 with its interval, a line a reranker, by what may be claimed."""
    gains = [row for row in rows if row.against and row.metric == "NDCG"]
    lines = [
        point(model, [(_arms(row), row) for row in gains if row.model == model], PLACES, "lists", ":")
        for model in dict.fromkeys(row.model for row in gains)
    ]
    if not any(lines):
        return page.missing("Nothing was compared.", "Run `tacit rerank evaluate`.")
    text = (
        "<p><em>NDCG@5</em> is 1 where a list's liked items stand first, and less the lower they stand; only the first "
        "five places count. Numbers are paired differences on the test users' lists, ranker seeds averaged first, with "
        f"{resampled(gains)}. <em>Not told from zero</em>: the interval touches zero, so nothing is claimed; <em>not "
        "told</em>: so few users say nothing. "
        "<em>base</em> reads no text; <em>round 0</em> reads the writer's texts before alignment, and <em>round 1</em> "
        "those after one round; the other arms are controls.</p>"
    )
    return text + points(lines)


def _arms(row: Row) -> str:
    """What is compared, where the reranker is named beside it."""
    return f"{row.arm} against {row.against}"


def _gains(rows: Sequence[Row]) -> str:
    gains = [row for row in rows if row.against]
    caption = f"Paired on the same lists, ranker seeds averaged first; {resampled(gains)}."
    return _lines(gains, ["NDCG", "MAP (KAR)", "NDCG consumed"], caption)


def _gap(row: Row) -> Cell:
    """Signed, in four decimals."""
    if row.value is None:
        return Cell("")
    return Cell(f"{'+' if row.value > 0 else ''}{short(row.value, PLACES)}", page.interval(row, PLACES))


def _table(rows: Sequence[Row]) -> str:
    plain = [row for row in rows if not row.against]
    caption = (
        "NDCG consumed orders a list's consumed items among themselves: preference without exposure. A list with "
        f"nothing liked counts as 0 everywhere. Small: {resampled(plain)}."
    )
    return _lines(plain, list(NAMES.values()), caption)


def _lines(rows: Sequence[Row], metrics: Sequence[str], caption: str) -> str:
    """One line a model in the order of the rows, one column a metric."""
    cells = {(line_name(row), row.metric): row for row in rows}
    lines = []
    for name in dict.fromkeys(line_name(row) for row in rows):
        note = next((row.note for row in rows if row.note and line_name(row) == name), "")
        line = [cells.get((name, metric)) for metric in metrics]
        values = [_gap(row) if row is not None and row.against else page.value(row) for row in line]
        lines.append(("", [Cell(name, note, left=True), *values]))
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
        "one half of a user's lists, and their NDCG@5 is compared on the other, with 95 % intervals over "
        "training users; 0.5 is chance, and red where the interval holds it or is not told: such pairs are noise. The "
        "margin of the best of ten over few lists is mostly luck."
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
    estimate = agreement[what]
    if estimate["value"] is None:
        return Cell("")
    ends, rate_ends = (finite(one["low"], one["high"]) for one in (estimate, agreement["rate"]))
    interval = f"{short(ends[0], 4)} to {short(ends[1], 4)}" if ends else f"not told ({agreement['users']} users)"
    return Cell(short(estimate["value"], 4), interval, bad=rate_ends is None or rate_ends[0] <= 0.5)


def _writing(folder: Path) -> str:
    """Round by round: length, titles, and whether the writer was paid for saying things twice."""
    done = {"round 0": folder / "knowledge" / "done.json"}
    done |= {
        path.parent.name.replace("round", "round "): path
        for path in sorted((folder / "align").glob("round*/done.json"))
    }
    cards = {name: _card(path) for name, path in done.items()}
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
        "repeats the prompt",
        "empty",
        "cut",
    ]
    lines = [
        ("", [Cell(name), *(Cell(short(values[one]) if one in values else "") for one in measures)])
        for name, values in said.items()
    ]
    caption = (
        "Means over texts that are read. A title that the prompt does not hold is invented; a factor comes again if "
        "a second line begins with it; a line stammers if it says a word twice. A text repeats "
        "the prompt as far as five words of it in a row stand there. Cut is the share of texts that "
        "ended in the middle, at the most tokens allowed (knowledge.max_tokens). Gains that come with any of these "
        "are not to be trusted."
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
        for name, parts in card[NOISE].items()
    }
    return (
        page.pairs({name: _plain(value) for name, value in card["protocol"].items()}, ("", "the lists"))
        + page.pairs({name: _plain(value) for name, value in card["settings"].items()}, ("", "settings"))
        + page.pairs(noise, ("", "standard deviation of NDCG@5"), "Where the noise of one run comes from.")
    )
