"""The report's findings: does it recommend better, are simulated users better off, what does it write."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from tacit.metrics.markdown import resampled
from tacit.metrics.results import CUTOFFS, Row, in_order
from tacit.report import figures, page
from tacit.report.claims import FEW, cases_of, claim, signed
from tacit.report.dialogue.headline import MAIN, SLICES, USERS
from tacit.report.dialogue.replies import side_by_side
from tacit.report.dialogue.sources import PAPER, source_of
from tacit.report.figures import COLOURS, THIRD, Bar
from tacit.report.page import EMULATED, NAMES
from tacit.report.run_files import RunFiles, find_row

LANGUAGE = (
    "bits per byte",
    "sentence BLEU-4",
    "corpus BLEU",
    "distinct-1",
    "distinct-2",
    "ends by itself",
    "out-of-catalogue",
)
FACTS = ("supported facts a reply", "unsupported facts a reply", "contradictions a reply")
HEARD = ("no language", "contradictions", "ignored")


def ranking(run: RunFiles) -> str:
    """The standard protocol, a table a slice; every cutoff and the other protocol folded away below."""
    standard = [row for row in run.rows if row.k and row.protocol.endswith("-standard")]
    if not standard:
        return page.missing("No ranking was evaluated yet.", "Run `tacit evaluate`.")
    parts = [
        "<p>New items are ranked with everything mentioned so far taken out. A model is worth its size only if it "
        "beats the lines above it: <em>copy the context</em> ranks what was mentioned, latest first.</p>",
    ]
    parts += [_slice(slice, [row for row in standard if row.slice == slice]) for slice in SLICES]
    new = [row for row in standard if row.slice == "new"]
    bars = [
        Bar(NAMES.get(row.model, row.model), row.value or 0.0, row.ci_low, row.ci_high, COLOURS.get(row.model, THIRD))
        for model in in_order({row.model for row in new})
        if (row := find_row(new, model, "HR@5")) is not None
    ]
    if bars:
        parts.append(
            page.figure(
                figures.bars({"HR@5, new items": bars}, "hr"),
                f"Share of cases with the item in the top five; lines are {resampled(new)}.",
            )
        )
    written = next((row for row in run.rows if row.metric == "unlinked share"), None)
    if written is not None and written.value is not None:
        parts.append(
            f"<p>{escape(NAMES.get(written.model, written.model).capitalize())}: {100 * written.value:.1f} % of the "
            f"{written.n} titles it wrote link to nothing in the catalogue.</p>"
        )
    places = dict.fromkeys((row.protocol, row.slice) for row in run.rows if row.k)
    for protocol, slice in places:
        rows = [row for row in run.rows if row.k and (row.protocol, row.slice) == (protocol, slice)]
        parts.append(page.details(f"{protocol}, {slice} items: every cutoff", _every_cutoff(run, rows)))
    return "".join(parts)


def _slice(slice: str, rows: Sequence[Row]) -> str:
    """Models, and PPO − SFT; a slice of few cases is one line."""
    if not rows:
        return ""
    if max(row.n for row in rows) < FEW:
        return f"<p><strong>{slice.capitalize()} items</strong>: {cases_of(rows)}, too few for a table.</p>"
    shown = [row for row in rows if row.against in ("", "sft")]
    return page.model_table(shown, MAIN, f"<strong>{slice.capitalize()} items.</strong> {_definition(rows[0])}")


def _every_cutoff(run: RunFiles, rows: Sequence[Row]) -> str:
    """A table a metric, so that each fits the page."""
    note = ""
    if rows[0].protocol.startswith("sampled"):
        note = " The item stands among few others here, so levels are far higher. It is printed for its shape."
        if run.dataset == "redial":
            note += (
                " Only under this reading is the level of arXiv 2508.05289 reachable (HR@5 42.3 to 56.0 on ReDial): "
                "popularity alone gets 45 to 48 there."
            )
    if max(row.n for row in rows) < FEW:
        return f"<p>{cases_of(rows)}, too few for a table.</p>"
    mrr = "<p><em>MRR@k</em> is the mean of 1 / place where the place is at most k.</p>"
    tables = [
        page.model_table(rows, [f"{metric}@{k}" for k in CUTOFFS], (_definition(rows[0]) + note) if first else "")
        for metric, first in (("HR", True), ("NDCG", False), ("MRR", False))
    ]
    return mrr + "".join(tables)


def _definition(row: Row) -> str:
    label = row.label()
    below = f" Below each value: 95 % interval, bootstrap over {row.unit}." if row.unit else ""
    return escape(label[label.index("[") + 1 : -1]) + "." + below


def users(run: RunFiles) -> str:
    rows = [row for row in run.rows if row.protocol == "simulated-users"]
    if not rows:
        return page.missing("No simulated user has talked to the policies yet.", "Run `tacit evaluate`.")
    caption = f"{_definition(rows[0])} Both policies met the same users. {EMULATED}"
    parts = [
        "<p>Fresh simulated users, never met in training, talk to both policies.</p>",
        page.metric_table(rows, USERS, caption),
    ]
    if any(row.metric in HEARD for row in rows):
        caption = (
            "How the simulated users heard the replies: the share that was no language, claims a reply that the "
            f"catalogue contradicts, and the share that ignored a question or a wish. {EMULATED}"
        )
        parts.append(page.metric_table(rows, HEARD, caption))
    gain = find_row(rows, "ppo", "satisfaction gain %", against="sft")
    if gain is not None and gain.value is not None:
        paper = (
            " The paper prints +17.1 % on ReDial and +15.8 % on OpenDialKG in units of its own training reward; the "
            "two are not comparable."
        )
        parts.append(
            f"<p>Satisfaction after PPO, relative to SFT: {escape(signed(gain, 1))} % ({claim(gain, 1).lower()}). "
            f"{EMULATED}{paper if run.dataset in PAPER else ''}</p>"
        )
    return "".join(parts)


def _facts(run: RunFiles, rows: Sequence[Row]) -> str:
    """What replies say of items; nothing for replies of before it was counted."""
    shown = [row for row in rows if row.metric in FACTS]
    if not shown:
        return ""
    caption = (
        "Years, people, kinds and titles that a reply says of an item, held against the catalogue. Supported: it says "
        "so. Contradicted: it says otherwise. Unsupported: it cannot tell (its list of stars, say, need not be whole). "
        f"The data's own replies are the control. Below values: {resampled(shown)}."
    )
    return page.model_table(shown, FACTS, caption, {"human": source_of(run).replies})


def language(run: RunFiles) -> str:
    rows = [row for row in run.rows if row.protocol == "replies"]
    if not rows:
        return page.missing("No replies were written yet.", "Run `tacit evaluate`.")
    signature = next((row.note for row in rows if row.note), "")
    caption = (
        f"Greedy replies beside {rows[0].n} of the data ({escape(source_of(run).replies)}). Corpus BLEU by sacrebleu, "
        f"<code>{escape(signature)}</code>. Sentence BLEU-4: mean, method 1 smoothing, times 100. Distinct-n: "
        f"different n-grams over all. Ends by itself: share of replies not cut. Out-of-catalogue: share of "
        "all recommendations. Bits per byte: how surprising the words of the data are; lower is better, and tokenizers "
        f"do not matter. Below values: {resampled(rows)}."
    )
    parts = [
        "<p>BLEU says how much replies look like one reply of the data, which is weak evidence of quality; formulas in "
        "use differ seventyfold on one output, so these compare with each other only.</p>",
        page.model_table(rows, LANGUAGE, caption, {"human": source_of(run).replies}),
    ]
    parts.append(_facts(run, rows))
    bleu = [row for row in rows if row.metric == "sentence BLEU-4" and not row.against]
    bars = [
        Bar(NAMES.get(r.model, r.model), r.value or 0.0, r.ci_low, r.ci_high, COLOURS.get(r.model, THIRD)) for r in bleu
    ]
    parts.append(page.figure(figures.bars({"Sentence BLEU-4": bars}, "bleu"), f"Lines are {resampled(bleu)}."))
    parts.append(side_by_side(run.replies, source_of(run).replies))
    if run.map is not None and len(run.map):
        groups = {
            NAMES.get(model, model): (part.select("x", "y").to_numpy(), part["hidden_utility"].to_numpy())
            for model in in_order(set(run.map["model"]))
            if len(part := run.map.filter(run.map["model"] == model))
        }
        method = run.map["method"][0]
        text = (
            f"Reply embeddings on one {escape(method)} map; near means alike. Colour: the user's hidden utility of "
            f"that turn. {EMULATED}"
        )
        parts.append(page.figure(figures.scatter(groups, "hidden utility", "map"), text))
    return "".join(parts)
