"""The first lines of the page: what was done, and what came of it in every slice, good and bad alike."""

from __future__ import annotations

from html import escape

from tacit.metrics.markdown import resampled
from tacit.report import page
from tacit.report.claims import point, points
from tacit.report.dialogue.evidence import reasons
from tacit.report.dialogue.sources import source_of
from tacit.report.run_files import RunFiles, find_row

MAIN = ("HR@1", "HR@5", "HR@10", "HR@50", "NDCG@5")
USERS = ("hidden utility", "satisfaction", "engagement", "sentiment", "accepted", "left", "agent turns")
BASELINES = ("popularity", "co-occurrence", "co-occurrence+copy")
SLICES = ("all", "new", "repeated", "clicked", "accepted", "liked", "unseen")  # the last four where logged
PLACES = 4  # decimals of a difference in ranking


def lead(run: RunFiles) -> str:
    """What this page is."""
    alarm = ""
    if run.forced:
        alarm = page.alert("The reward model did not pass its examination and was used all the same.", reasons(run))
    return (
        "<p>A conversational recommender was first fine-tuned on recorded dialogues (<em>SFT</em>, supervised "
        "fine-tuning). Then it talked to simulated users and was pushed towards what they answer well to (<em>PPO</em>,"
        " proximal policy optimisation). The <em>reward</em> that says what is well was learnt from implicit feedback: "
        "how long users look, what they click, how they answer, when they leave. This page says what PPO changed, on "
        f"held-out dialogues and with simulated users, and how far each number can be trusted.</p>{alarm}"
    )


def headline(run: RunFiles) -> str:
    """Every slice of the standard protocol, the baselines, simulated users and replies, as far as they are measured."""
    parts = [_ranking(run), _baselines(run), _users(run), _replies(run)]
    if not any(parts):
        return page.missing("Nothing was measured yet.", "Run `tacit evaluate`.")
    gains = [row for row in run.rows if row.against]
    legend = (
        f"<p>Numbers are paired differences on the same cases, with {resampled(gains)}. <em>Not told from zero</em>: "
        "the interval touches zero, so nothing is claimed; <em>not told</em>: so few say nothing.</p>"
    )
    return legend + "".join(parts)


def _ranking(run: RunFiles) -> str:
    lines = [
        point(
            f"{slice.capitalize()} items",
            [(name, row) for name in MAIN if (row := find_row(run.rows, "ppo", name, slice, "-standard", "sft"))],
            PLACES,
        )
        for slice in SLICES
    ]
    if not any(lines):
        return ""
    text = (
        f"<p>A case is an item that {escape(source_of(run).recommender)} named next. <em>HR@k</em> is the share of "
        "cases whose item is among the model's first k of the whole catalogue; <em>NDCG@k</em> counts a higher place "
        "for more. <em>Repeated</em> items were named before in the dialogue, <em>new</em> ones were not."
        f"{_observed(run)}</p>"
    )
    return "<h3>PPO against SFT: ranking what was really named next</h3>" + text + points(lines)


ALWAYS = "sft+recommend"  # the supervised policy, made to recommend in every turn
LIKELIEST = ("ppo+recommend+likeliest", "sft+recommend+likeliest")  # so, and the likeliest items in place of drawn ones

SAYS = {
    "clicked": "items were clicked",
    "accepted": "items were taken",
    "liked": "items are those that the person says it liked",
    "unseen": "items stand in no training dialogue",
}


def _observed(run: RunFiles) -> str:
    """What the slices of observed answers are, as far as there are any."""
    there = {row.slice for row in run.rows}
    terms = [f"<em>{slice.capitalize()}</em> {text}" for slice, text in SAYS.items() if slice in there]
    if not terms:
        return ""
    note = " What was named need not have been wanted, so what people did with it stands apart:"
    return f"{note if len(terms) > ('unseen' in there) else ''} {'; '.join(terms)}."


def _baselines(run: RunFiles) -> str:
    """Against what needs no model: popularity, and counts of what was answered after what."""
    lines = []
    for slice in SLICES:
        rows = [
            (f"{name} against {page.NAMES.get(against, against)}", row)
            for against in BASELINES
            for name in ("HR@5", "NDCG@5")
            if (row := find_row(run.rows, "ppo", name, slice, "-standard", against)) is not None
        ]
        lines.append(point(f"{slice.capitalize()} items", rows, PLACES))
    title = "<h3>Does it beat popularity and co-occurrence?</h3>"
    if any(lines):
        text = (
            "<p>The model after PPO less each of them. <em>Popularity</em> counts how often an item was named in "
            "training; <em>co-occurrence</em> counts what was answered after an item, a person or a genre; with "
            "<em>copy</em>, items already named come first.</p>"
        )
        return title + text + points(lines)
    if find_row(run.rows, "ppo", "HR@5", "all", "-standard") is None:
        return ""
    return title + page.missing(
        "This run holds no paired difference from them, so nothing is claimed; their levels stand in the table below.",
        "Delete its folder evaluate and run `tacit evaluate` again.",
    )


def _users(run: RunFiles) -> str:
    rows = [(name, find_row(run.rows, "ppo", name, against="sft")) for name in USERS]
    line = point("Fresh simulated users", [(name, row) for name, row in rows if row is not None], noun="users")
    if not line:
        return ""
    text = (
        "<p><em>Hidden utility</em> is what a simulated user truly gets out of a conversation; no trainer reads it. "
        "<em>Engagement</em> and <em>sentiment</em> are what a product could observe of attention and mood, and "
        "<em>satisfaction</em> is their mean. <em>Accepted</em> and <em>left</em> are shares of users. No person took "
        "part.</p>"
    )
    always = [
        point(f"{title}, hidden utility", [("hidden utility", row)] if row is not None else [], noun="users")
        for title, row in (
            (
                "SFT made to recommend in every turn, less SFT",
                find_row(run.rows, ALWAYS, "hidden utility", against="sft"),
            ),
            ("PPO, less SFT made to recommend", find_row(run.rows, "ppo", "hidden utility", against=ALWAYS)),
            (
                "Both made to recommend, their likeliest items",
                find_row(run.rows, LIKELIEST[0], "hidden utility", against=LIKELIEST[1]),
            ),
        )
    ]
    if any(always):
        text += (
            "<p>What recommending more often is worth alone stands in the second line; what is left, in the third. The "
            "last, where nothing is drawn, is what the order of the items and the words are worth.</p>"
        )
    return "<h3>PPO against SFT: simulated users</h3>" + text + points([line, *always])


def _replies(run: RunFiles) -> str:
    row = find_row(run.rows, "ppo", "sentence BLEU-4", against="sft")
    line = point("Replies", [("BLEU-4", row)] if row is not None else [], noun="replies")
    if not line:
        return ""
    text = (
        f"<p><em>BLEU-4</em> (0 to 100) counts word sequences shared with {escape(source_of(run).replies)} to the same "
        "messages: weak evidence of quality.</p>"
    )
    return "<h3>PPO against SFT: wording</h3>" + text + points([line])
