"""The report's evidence: how PPO went, what the reward is worth, what is emulated, how the run was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from tacit.report import figures, page
from tacit.report.claims import FEW
from tacit.report.dialogue.examples import examples
from tacit.report.dialogue.sources import source_of
from tacit.report.figures import FIRST, SECOND, THIRD, Line, Panel
from tacit.report.page import EMULATED, Cell, short
from tacit.report.run_files import RunFiles


def meta(run: RunFiles) -> str:
    seed = run.run.get("seed", run.config.get("seed", "?"))
    later = run.run.get("later") or []
    commit = str((later[-1] if later else run.run).get("commit", "unknown"))
    return escape(f"{run.dataset} · seed {seed} · commit {commit[:12]}{' with changes' if '+' in commit else ''}")


def training(run: RunFiles) -> str:
    if not run.ppo:
        return page.missing("PPO has not been run.", "Run `tacit ppo`.")
    x = [float(row["step"]) for row in run.ppo]
    reward, hidden = _series(run.ppo, "reward"), _series(run.ppo, "hidden_utility")
    parts = []
    warning = hacking(reward, hidden)
    if warning:
        parts.append(page.alert("Reward up, hidden utility down.", warning))
    right = Line("hidden utility (right)", x, hidden, THIRD) if np.isfinite(hidden).any() else None
    both = figures.curves(
        [Panel("Reward and hidden utility of a turn", [Line("reward (left)", x, reward)], right)], "both", 1
    )
    parts.append(
        page.figure(
            both,
            "The reward is what PPO maximises; the hidden utility is what the simulated users truly felt and what PPO "
            f"never sees. They should rise together. {EMULATED}",
        )
    )
    if "best_iteration" in run.aligned:
        parts.append(
            f"<p>The policy is that after <strong>{run.aligned['best_iteration']}</strong> of {len(run.ppo)} "
            "iterations: then held-out users, other people than those of training and of the results, were best off "
            "(<code>ppo.patience</code>). Their hidden utility, drawn below, chose it, so it flatters what was chosen."
            f" {EMULATED}</p>"
        )
    panels = [panel for panel in (_panel(run.ppo, x, *what) for what in PANELS) if panel is not None]
    caption = (
        "From <code>ppo/metrics.jsonl</code>. Entropy: how spread the choices are. Divergence: how far the policy has "
        "moved from SFT (KL). Channels: the parts of the reward. Clipped share: choices held back because one step "
        "moved them too far. Explained variance: how well the expected reward is foretold; 1 is all of it."
    )
    if panels:
        rest = page.figure(figures.curves(panels, "ppo"), caption)
        parts.append(page.details(f"The rest of the training log: {len(panels)} charts", rest))
    return "".join(parts)


PANELS: tuple[tuple[str, Mapping[str, str]], ...] = (
    ("Policy loss", {"loss_text": "text", "loss_slate": "slate"}),
    ("Value loss", {"loss_value": "value"}),
    ("Entropy, nats", {"entropy_text": "text", "entropy_slate": "slate"}),
    ("Divergence, nats", {"kl_text": "text", "kl_slate": "slate"}),
    (
        "Channels",
        {"channel_engagement": "engagement", "channel_relevance": "relevance", "channel_sentiment": "sentiment"},
    ),
    ("Clipped share", {"clip_text": "text", "clip_slate": "slate"}),
    ("Explained variance", {"explained_variance": "value"}),
    ("Reply length, tokens", {"reply_tokens": "tokens"}),
    ("How it ends", {"accept_rate": "accepted", "leave_rate": "left"}),
    ("Popularity of shown items", {"popularity": "mentions"}),
    ("Hidden utility of held-out users", {"held_out_utility": "of a conversation"}),
    ("Distinct-2", {"distinct_2": "distinct"}),
    ("Replies that end", {"eos_rate": "share"}),
)


def _panel(rows: Sequence[Mapping[str, Any]], x: Sequence[float], title: str, names: Mapping[str, str]) -> Panel | None:
    shades = (SECOND, FIRST, THIRD)
    lines = [
        Line(name, x, _series(rows, key), shade)
        for (key, name), shade in zip(names.items(), shades, strict=False)
        if any(row.get(key) is not None for row in rows)
    ]
    alone = len(lines) == 1 < len(names)  # without a legend the title must say which
    return Panel(f"{title}: {lines[0].name}" if alone else title, lines) if lines else None


def _series(rows: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [float("nan") if row.get(name) is None else float(row[name]) for row in rows]


def hacking(reward: Sequence[float], hidden: Sequence[float]) -> str:
    """One sentence when the last third's reward is above the first third's and its hidden utility below; else ""."""
    third = len(reward) // 3
    if third < 1 or not np.isfinite(reward).all() or not np.isfinite(hidden).all():
        return ""
    ends = [(float(np.mean(values[:third])), float(np.mean(values[-third:]))) for values in (reward, hidden)]
    (reward_from, reward_to), (hidden_from, hidden_to) = ends
    spread = float(np.std(hidden[:third])) if third > 1 else 0.0
    if reward_to > reward_from and hidden_to < hidden_from - spread:
        return (
            f"From the first to the last third of training the reward rose from {short(reward_from)} to "
            f"{short(reward_to)} while hidden utility fell from {short(hidden_from)} to {short(hidden_to)}: the policy "
            "exploits the reward model."
        )
    return ""


def reasons(run: RunFiles) -> str:
    """Why the reward did not pass: what failed, and what could not be told for want of turns."""
    report = run.validation or {}
    return " ".join([*report.get("reasons", []), *report.get("undecided", [])])


ENDS = ("low", "high")
LIKED = {
    "auc": "reward model",
    "popularity_auc": "popularity alone",
    "length_auc": "reply length alone",
    "auc_within_popularity": "reward model, within fifths of popularity",
    "auc_within_length": "reward model, within fifths of reply length",
}


def reward(run: RunFiles) -> str:
    report = run.validation
    if report is None:
        return page.missing("The reward model has not been examined.", "Run `tacit reward`.")
    parts = [
        "<p>The reward model learns from weak labels and is examined on what it was not trained on before PPO may use "
        "it. It never sees the length of a reply.</p>"
    ]
    if not report.get("passed"):
        forced = "It was used all the same (reward.force=true). " if run.forced else ""
        verdict = "Failed." if report.get("reasons") else "Not examined in full."
        parts.append(page.alert(verdict, forced + reasons(run)))
    else:
        parts.append("<p><strong>Passed</strong> every check below.</p>")
    parts += [
        _channels(report),
        _liked(run, dict(report.get("liked", {})), _unit(report, "liked")),
        _cheats(report.get("cheats", {}), _unit(report, "cheats")),
    ]
    length, unit = report.get("length", {}), _unit(report, "length")
    parts.append(
        f"<p>Correlation of reward and reply length over the SFT policy's turns: {_number(length.get('correlation'))}, "
        f"within turns of one decision (to recommend or to chat) {_number(length.get('within_decision'))}"
        f"{_within(length, 'within')}. Padding a reply with a ramble wins {_number(length.get('padding_gain'))}"
        f"{_within(length, 'padding')} standard deviations{escape(f' (95 % intervals{unit})' if unit else '')}.</p>"
    )
    return "".join(parts)


def _unit(report: Mapping[str, Any], table: str) -> str:
    """ " over users": what the intervals of a table resample; "" in reports of before this was kept."""
    unit = report.get("units", {}).get(table)
    return f" over {unit}" if unit else ""


def _cheats(cheats: Mapping[str, Mapping[str, Any]], unit: str) -> str:
    """A line a cheat, red where it failed: its whole interval is at zero or above, or there is no interval."""
    n = min((int(entry["n"]) for entry in cheats.values() if "n" in entry), default=None)
    lines = [
        ("", [Cell(name.replace("_", " ")), Cell(_number(entry.get("mean"))), Cell(_number(entry.get("sft"))),
              Cell(_number(entry.get("difference")), _span(entry),
                   bad=float(entry.get("ci_low", entry.get("difference")) or 0) >= 0)])
        for name, entry in cheats.items()
    ]  # fmt: skip
    caption = (
        f"Each cheat against the SFT policy in the same {'' if n is None else f'{n} '}contexts. A cheat is to score "
        f"below it; red where the whole 95 % interval of the difference{escape(unit)} is above."
    )
    return page.table(["scripted cheat", "reward", "SFT reward", "difference"], lines, caption)


def _channels(report: Mapping[str, Any]) -> str:
    """Predicted against observed, a line a channel; channels of few turns are one line."""
    pearson: Mapping[str, Mapping[str, Any]] = report.get("pearson", {})
    least = report.get("thresholds", {}).get("min_engagement_pearson", 0.6)
    turns = report.get("held_out", "simulated sessions")
    label = EMULATED if turns == "simulated sessions" else ""
    scarce = {name: entry for name, entry in pearson.items() if (entry.get("n") or 0) < FEW}
    lines = [
        ("", [Cell(name), Cell(_number(entry.get("r")), _span(entry),
                               bad=name == "engagement" and _highest(entry) < least),
              Cell(_count(entry.get("n")))])
        for name, entry in pearson.items() if name not in scarce
    ]  # fmt: skip
    caption = (
        f"Predicted against observed on held-out {escape(turns)}. Pearson's r is 1 where one follows the other exactly "
        f"and 0 where it tells nothing; engagement's is red where it lies below {least}, interval and all."
        f"{_intervals(_unit(report, 'pearson'))} {label}"
    )
    table = page.table(["channel", "Pearson r", "n"], lines, caption) if lines else ""
    told = ", ".join(f"{name} ({int(entry.get('n') or 0)} turns)" for name, entry in scarce.items())
    table += _clicks(report.get("clicks", {}), label)
    return table + (f"<p>Too few turns to say anything: {escape(told)}.</p>" if told else "")


def _clicks(entry: Mapping[str, Any], label: str) -> str:
    """One sentence on which items are clicked; nothing where too few were."""
    if entry.get("auc") is None:
        return ""
    return (
        f"<p>Of two items in the same place of a slate, the one that was clicked is told with AUC "
        f"{_number(entry['auc'])} ({_span(entry) or 'no interval'}; {int(entry['positives'])} of "
        f"{int(entry['n'])} held-out items were). {label}</p>"
    )


def _highest(entry: Mapping[str, Any]) -> float:
    """The upper end of r's interval; r itself where there is none."""
    return max(entry.get("r") or 0.0, entry.get("ci_high") or 0.0)


def _intervals(unit: str) -> str:
    return f" Intervals are 95 %{escape(unit)}." if unit else ""


def _liked(run: RunFiles, liked: dict[str, Any], unit: str) -> str:
    """The users' own words, on validation dialogues."""
    n, positives = (liked.pop(name, None) for name in ("n", "positives"))
    if (n or 0) < FEW:
        return f"<p>Users' own words on items (<em>liked</em>): {int(n or 0)}, too few to say anything.</p>"
    lines = [
        (
            "",
            [Cell(LIKED[name]), Cell(_number(entry), _span({f"ci_{end}": liked.get(f"{name}_{end}") for end in ENDS}))],
        )
        for name, entry in liked.items()
        if name in LIKED
    ]
    caption = (
        f"What {escape(source_of(run).users)} said of the recommended item (<em>liked</em>, n={_count(n)}, "
        f"{_count(positives)} yes), on validation dialogues. AUC: how often a liked item gets the higher score of the "
        f"two; 0.5 is chance.{_intervals(unit)}"
    )
    return page.table(["", "AUC"], lines, caption)


HEARD = (
    "and hear of its words whether they are language, contradict the catalogue, or ignore what was asked; they judge "
    "no more of them."
)
DEAF = "and at how long the reply is; they never read what it says."  # runs of before


def dialogues(run: RunFiles) -> str:
    if not {"sft", "ppo"} <= set(run.users):
        return page.missing("There are no paired conversations yet.", "Run `tacit evaluate`.")
    hearing = HEARD if all("no language" in table.columns for table in run.users.values()) else DEAF
    intro = (
        "<p>Chosen by rule, not by taste: of all users, the one PPO helped most, the median, and the one it hurt most, "
        f"by hidden utility. <strong>Simulated users look at the slate, the list below a reply, {hearing}</strong> A "
        f"user who takes an item is no sign that the words are good: judge those yourself. {EMULATED}</p>"
    )
    return intro + examples(run.users["sft"], run.users["ppo"], run.titles)


def emulated(run: RunFiles) -> str:
    real = (
        "Besides, this is the made-up world: the dialogues trained on, the held-out items and replies and the users' "
        "words on items were generated too, so the page shows how the method works and says nothing about people."
        if source_of(run).invented
        else "<strong>Not emulated:</strong> the dialogues trained on, the held-out items and replies, and the users' "
        "own words on whether they liked an item."
    )
    parts = [
        "<p><strong>Emulated:</strong> the users of PPO and of the evaluation above are simulated. Their dwell "
        "time, scrolling, clicks, patience and hidden utility come from a model of users, not from people. "
        f"{real}</p>"
    ]
    if not run.calibration:
        return parts[0] + page.missing("There is no calibration table.", "Run the stage `prepare`.")
    rows = []
    for entry in run.calibration:
        data = entry.get("data")
        source = "emulated" if entry.get("emulated") else str(entry.get("source", ""))
        name = f"{entry['quantity']}{', ' + entry['unit'] if entry.get('unit') else ''}"
        rows.append(
            (
                "",
                [
                    Cell(name),
                    Cell("not observed" if data is None else _number(data)),
                    Cell(_number(entry.get("simulated"))),
                    Cell(source, left=True),
                ],
            )
        )
    parts.append(
        page.table(
            ["quantity", "data", "simulated users", "how it was set"],
            rows,
            "The simulated users beside the training dialogues.",
        )
    )
    return "".join(parts)


def definitions(run: RunFiles) -> str:
    return (
        "<ul><li><strong>Case</strong>: an item named in an agent message that has a context; one case for each "
        "distinct item. HR@k is the share of cases with the item in the top k, NDCG@k is 1 / log2(rank + 1) there, "
        "MRR@k is 1 / rank. Ties count against the model.</li>"
        "<li><strong>Interval</strong>: 95 %, of a bootstrap (symmetric bootstrap-t) that resamples whole users, or "
        "dialogues where users are not known. "
        "Differences are paired: the same cases, the same users. No gain is claimed whose interval touches zero.</li>"
        "<li><strong>Baselines</strong>: popularity counts training mentions; copy ranks what was mentioned, latest "
        "first; co-occurrence counts what was answered after an item, a person or a genre had been named.</li>"
        "<li><strong>Satisfaction</strong>: half engagement (0 to 1), half sentiment shift brought to 0 to 1; the gain "
        "is relative to SFT.</li></ul>"
    )


def _number(value: float | None) -> str:
    return "not measured" if value is None else short(float(value))


def _count(value: float | None) -> str:
    return "" if value is None else str(int(value))


def _within(entry: Mapping[str, Any], name: str) -> str:
    span = _span({f"ci_{end}": entry.get(f"{name}_{end}") for end in ENDS})
    return f" ({span})" if span else ""


def _span(entry: Mapping[str, Any]) -> str:
    low, high = entry.get("ci_low"), entry.get("ci_high")
    return "" if low is None or high is None else f"{short(low)} to {short(high)}"
