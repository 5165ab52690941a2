"""The report's findings: does it recommend better, are simulated users better off, what does it write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from tacit.metrics.results import CUTOFFS, DIFFERENCE, Row, in_order
from tacit.report import figures, page
from tacit.report.dialogue.evidence import reasons
from tacit.report.figures import COLOURS, SECOND, THIRD, Bar
from tacit.report.page import EMULATED, NAMES, Cell, short
from tacit.report.run_files import RunFiles

HEADLINE = ("HR@1", "HR@5", "HR@10", "HR@50", "NDCG@5")
USER_METRICS = ("hidden utility", "satisfaction", "engagement", "sentiment", "accepted", "agent turns")


def lead(run: RunFiles) -> str:
    """What this page is, and the few sentences a reader needs if they read nothing else."""
    lines = [
        "<p>A conversational recommender was first fine-tuned on recorded dialogues (SFT), then aligned by PPO with a "
        "reward learnt from implicit feedback: how long users look, what they click, how they answer, when they leave. "
        "This page says whether that made it better, on held-out human dialogues and with simulated users, and how far "
        "each number can be trusted.</p>"
    ]
    if run.forced:
        lines.append(page.alert("The reward model failed its examination and was used all the same.", reasons(run)))
    points = [
        _verdict(
            _find(run.rows, DIFFERENCE, "NDCG@5", "new", "-standard"), "new-item NDCG@5 on the held-out dialogues"
        ),
        _verdict(_find(run.rows, DIFFERENCE, "hidden utility"), "the hidden utility of fresh simulated users"),
        _verdict(_find(run.rows, DIFFERENCE, "sentence BLEU-4"), "likeness of its replies to people's (BLEU-4)"),
    ]
    found = [point for point in points if point]
    if not found:
        return lines[0] + "".join(lines[1:]) + page.missing("Nothing was measured yet.", "Run `tacit evaluate`.")
    return "".join(lines) + '<ul class="verdicts">' + "".join(found) + "</ul>"


def _verdict(row: Row | None, what: str) -> str:
    """A claim is made only where the interval of the paired difference does not touch zero."""
    if row is None or row.value is None or row.ci_low is None or row.ci_high is None:
        return ""
    up, down = row.ci_low > 0, row.ci_high < 0
    verb = "raised" if up else "lowered" if down else "did not clearly change"
    span = f"{'+' if row.value > 0 else ''}{short(row.value)}, 95 % interval {page.interval(row)}"
    note = "" if up or down else "; the interval touches zero"
    return (
        f'<li class="{"up" if up else "down" if down else ""}">PPO <strong>{verb}</strong> {escape(what)} '
        f"({escape(span)}{note}). {EMULATED if row.emulated else ''}</li>"
    )


def ranking(run: RunFiles) -> str:
    """The standard protocol's new items first; every other slice and protocol folded away below."""
    standard = [row for row in run.rows if row.k and row.protocol.endswith("-standard")]
    if not standard:
        return page.missing("No ranking was evaluated yet.", "Run `tacit evaluate`.")
    new = [row for row in standard if row.slice == "new"]
    first = new[0]
    parts = [
        "<p>Each case is an item that the human recommender named next, ranked by the model among the whole catalogue. "
        "New items were not mentioned before in the dialogue, and what was mentioned is taken out of the ranking. A "
        "model is worth its size only if it beats the lines above it.</p>",
        page.model_table(new, HEADLINE, _definition(first)),
    ]
    bars = [
        Bar(NAMES.get(row.model, row.model), row.value or 0.0, row.ci_low, row.ci_high, COLOURS.get(row.model, THIRD))
        for model in in_order({row.model for row in new} - {DIFFERENCE})
        if (row := _find(new, model, "HR@5")) is not None
    ]
    svg = figures.bars({"HR@5, new items": bars}, "hr")
    parts.append(
        page.figure(svg, "Share of cases with the item in the top five; lines are 95 % intervals over dialogues.")
    )
    written = next((row for row in run.rows if row.metric == "unlinked share"), None)
    if written is not None and written.value is not None:
        parts.append(
            f"<p>{escape(NAMES.get(written.model, written.model).capitalize())}: {100 * written.value:.1f} % of the "
            f"{written.n} titles it wrote link to nothing in the catalogue.</p>"
        )
    everything = [f"{metric}@{k}" for metric in ("HR", "NDCG", "MRR") for k in CUTOFFS]
    places = dict.fromkeys((row.protocol, row.slice) for row in run.rows if row.k)
    for protocol, slice in places:
        rows = [row for row in run.rows if row.k and (row.protocol, row.slice) == (protocol, slice)]
        note = ""
        if protocol.startswith("sampled"):
            note = (
                " Only under this reading is the level of arXiv 2508.05289 reachable (HR@5 42.3 to 56.0 on ReDial): "
                "popularity alone gets 45 to 48 there. It is printed for its shape and is no headline."
            )
        table = page.model_table(rows, everything, _definition(rows[0]) + note)
        parts.append(page.details(f"{protocol}, {slice} items: every cutoff", table))
    return "".join(parts)


def _definition(row: Row) -> str:
    label = row.label()
    return escape(label[label.index("[") + 1 : -1]) + ". Below each value: 95 % interval, bootstrap over dialogues."


def users(run: RunFiles) -> str:
    rows = [row for row in run.rows if row.protocol == "simulated-users"]
    if not rows:
        return page.missing("No simulated user has talked to the policies yet.", "Run `tacit evaluate`.")
    caption = f"{_definition(rows[0])} Both policies met the same users. {EMULATED}".replace("dialogues", "users")
    parts = [
        "<p>Fresh simulated users, never met in training, talk to both policies. Their <em>hidden utility</em> is what "
        "they truly get out of a conversation; no trainer can read it. Engagement and sentiment are what a product "
        "could observe, and satisfaction joins them as the paper does.</p>",
        page.model_table(rows, USER_METRICS, caption),
    ]
    gain = _find(rows, DIFFERENCE, "satisfaction gain %")
    if gain is not None and gain.value is not None:
        parts.append(
            f"<p>Satisfaction gain over SFT: <strong>{gain.value:+.1f} %</strong> (95 % interval "
            f"{escape(page.interval(gain, 1))}). {EMULATED} The paper prints +17.1 % on ReDial and +15.8 % on "
            "OpenDialKG in units of its own training reward; the two are not comparable.</p>"
        )
    return "".join(parts)


def language(run: RunFiles) -> str:
    rows = [row for row in run.rows if row.protocol == "replies"]
    if not rows:
        return page.missing("No replies were written yet.", "Run `tacit evaluate`.")
    names = ("sentence BLEU-4", "corpus BLEU", "distinct-1", "distinct-2", "out-of-catalogue")
    signature = next((row.note for row in rows if row.note), "")
    caption = (
        f"Greedy replies beside {rows[0].n} human ones. Corpus BLEU by sacrebleu, <code>{escape(signature)}</code>. "
        "Sentence BLEU-4: mean, method 1 smoothing, times 100. Out-of-catalogue: share of all recommendations."
    )
    parts = [
        "<p>BLEU says how much replies look like one person's words, which is weak evidence of quality; formulas in "
        "use differ seventyfold on one output, so these compare with each other only.</p>",
        page.model_table(rows, names, caption),
    ]
    bleu = [row for row in rows if row.metric == "sentence BLEU-4" and row.model != DIFFERENCE]
    bars = [
        Bar(NAMES.get(r.model, r.model), r.value or 0.0, r.ci_low, r.ci_high, COLOURS.get(r.model, THIRD)) for r in bleu
    ]
    parts.append(page.figure(figures.bars({"Sentence BLEU-4": bars}, "bleu"), "With 95 % intervals over dialogues."))
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


def comparison(runs: Mapping[str, Sequence[Row]]) -> str:
    """PPO's numbers of several runs side by side: an ablation, a window, seeds."""
    wanted = (
        ("HR@5, new", "ppo", "HR@5", "new"), ("NDCG@5, new", "ppo", "NDCG@5", "new"),
        ("BLEU-4", "ppo", "sentence BLEU-4", ""), ("hidden utility gain (emulated)", DIFFERENCE, "hidden utility", ""),
        ("satisfaction gain %, emulated", DIFFERENCE, "satisfaction gain %", ""),
    )  # fmt: skip
    found = {
        (name, title): _find(rows, model, metric, slice, "-standard" if slice else "")
        for name, rows in runs.items()
        for title, model, metric, slice in wanted
    }
    lines = [("", [Cell(name), *(page.value(found[name, title]) for title, *_ in wanted)]) for name in runs]
    lines += _over_seeds([[found[name, title] for name in runs] for title, *_ in wanted])
    panels: dict[str, list[Bar]] = {}
    for title, *_ in wanted[:3]:
        rows = [(name, found[name, title]) for name in runs]
        bars = [
            Bar(name, r.value, r.ci_low, r.ci_high, SECOND) for name, r in rows if r is not None and r.value is not None
        ]
        if bars:
            panels[title] = bars
    svg = page.figure(
        "".join(figures.bars({title: bars}, f"runs {title}") for title, bars in panels.items()), "PPO in each run."
    )
    return (
        page.table(["run", *(title for title, *_ in wanted)], lines, "Below each value: 95 % interval within the run.")
        + svg
    )


def _over_seeds(columns: Sequence[Sequence[Row | None]]) -> list[tuple[str, list[Cell]]]:
    """Mean ± sample deviation of each column, where the runs are one experiment with different seeds."""
    rows = [row for column in columns for row in column if row is not None]
    n = max(len(column) for column in columns)
    if len({row.seed for row in rows}) < n or len({row.dataset for row in rows}) > 1:
        return []
    cells = []
    for column in columns:
        values = [row.value for row in column if row is not None and row.value is not None]
        spread = f" ± {short(float(np.std(values, ddof=1)))}" if len(values) > 1 else ""
        cells.append(Cell(f"{short(float(np.mean(values)))}{spread}" if values else ""))
    return [("", [Cell(f"mean ± sd of {n} seeds"), *cells])]


def _find(rows: Sequence[Row], model: str, name: str, slice: str = "", protocol: str = "") -> Row | None:
    return next(
        (
            row
            for row in rows
            if row.model == model and row.name == name and slice in ("", row.slice) and row.protocol.endswith(protocol)
        ),
        None,
    )
