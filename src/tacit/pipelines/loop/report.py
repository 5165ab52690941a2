"""``loop.json`` and ``report.html``: what the circle did, round by round."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from tacit.metrics.intervals import bootstrap_mean
from tacit.offpolicy.verdict import LEADING
from tacit.pipelines.loop import closing_page
from tacit.pipelines.loop.settings import LoopConfig
from tacit.report import page
from tacit.report.page import Cell, alert, details, short, table
from tacit.run.files import atomic_write, read_json
from tacit.serve.registry import Registry

Told = dict[str, Any]
MOST_POINTS = 1.0  # that a pushed item's share may move


def write(folder: Path, config: LoopConfig, steps: Path, registry: Registry) -> Path:
    """The folder."""
    told = {path.stem: read_json(path, "run the loop again.") for path in sorted(steps.glob("*.json"))}
    found = summary(told, config)
    found["audit"] = {"rows": len(registry.audit.rows()), "faults": registry.faults(), "current": registry.current()}
    atomic_write(folder / "loop.json", json.dumps(found, indent=1, allow_nan=False) + "\n")
    sections = [
        ("better", "Are people served better?", closing_page.section(found["served_better"])),
        ("rounds", "Rounds", _rounds(found)),
        ("canaries", "Canaries", _canaries(told)),
        ("poison", "The poisoned round", _poison(found)),
        ("rollback", "Taken back while people talked", _rollback(told)),
        ("gate", "What the gate said", _decisions(told)),
        ("time", "Where the time went", _time(found)),
    ]
    faults = "".join(alert("The audit has a fault.", fault) for fault in found["audit"]["faults"])
    people = sum(one["hidden_utility"]["n"] for one in found["rounds"])
    meta = f"{people} simulated people in {config.rounds} rounds, over HTTP with the real server and log; seed "
    meta = f"{meta}{config.seed}; {escape(_learner(config))}; judged by {escape(config.judge_by)}"
    page.write(folder, meta, _lead(found) + faults, sections, title="The whole circle, on simulated users")
    return folder


def summary(told: dict[str, Told], config: LoopConfig) -> Told:
    rounds = []
    for number in range(1, config.rounds + 1):
        name = f"round-{number}"
        gate = told[f"{name}-gate"]
        rounds.append(
            {
                "round": number,
                "served": gate["current"],
                "candidate": gate["version"],
                "hidden_utility": hidden(told[f"{name}-visit"]["hidden"] + told[f"{name}-visit-again"]["hidden"]),
                "verdict": gate["verdict"],
                "primary": gate["primary"],
                "gain": {key: gate["gain"][key] for key in LEADING if key in gate["gain"]},
                "judged_by": gate["people"],
                "ess": gate["ess"],
                "logged_rounds": gate["rounds"],
                "passed": gate["passed"],
                "refused_by": [one["rule"] for one in gate["reasons"] if one["passed"] is not True],
                "canary": told.get(f"{name}-canary", {}).get("ended"),
                "events_refused": told[f"{name}-visit"]["rejected_events"],
            }
        )
    return {
        "rounds": rounds,
        "served_better": {key: value for key, value in told["fresh-people"].items() if key != "took_s"},
        "refused": {name: bool(told[f"{name}-promote"]["refused"]) for name in ("worse", "worst")},
        "canary_of_the_worst": {key: told["worst-canary"][key] for key in ("ended", "why")},
        "poison": poison(told, config),
        "rollback": told["rollback"],
        "seconds": {name: one["took_s"] for name, one in told.items() if "took_s" in one},
    }


def hidden(values: Sequence[float]) -> Told:
    """Mean hidden utility of conversations, with a 95 % interval over them (each is another person)."""
    found = bootstrap_mean(np.array(values), np.arange(len(values)), np.random.default_rng(0))
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}


def poison(told: dict[str, Told], config: LoopConfig) -> Told | None:
    """Did the candidate that was made from the poisoned log show the target first more often? By how many points, with
    the cap on an account and without it."""
    name = f"round-{config.poisoned_round}"
    made, shares = told.get(f"{name}-poison"), told.get(f"{name}-pushed")
    if made is None or shares is None:
        return None
    before = shares["current"]
    points = {kind: 100.0 * (shares[kind] - before) for kind in ("candidate", "without_cap")}
    return {**made, **shares, "points": points["candidate"], "points_without_cap": points["without_cap"]}


def _learner(config: LoopConfig) -> str:
    if config.learner == "log":
        return f"candidates learnt from the log ({config.learn.method})"
    return "candidates made by hand (the slate's logits made sharper), none learnt from the log"


def _lead(found: Told) -> str:
    """What was to be shown, and whether it was."""
    lines = "".join(
        f'<li class="{"" if good is None else "up" if good else "down"}">{escape(said)}</li>'
        for good, said in claims(found)
    )
    return f'<ul class="verdicts">{lines}</ul>'


def claims(found: Told) -> Iterator[tuple[bool | None, str]]:
    """(shown? None: neither, a sentence)"""
    rounds = found["rounds"]
    promoted = [one for one in rounds if one["canary"] == "promote"]
    yield closing_page.served_better(found["served_better"])
    yield (
        bool(promoted) or None,
        f"{len(promoted)} of {len(rounds)} learnt candidates passed the gate and their canary, and were promoted.",
    )
    yield from closing_page.controls(found["served_better"])
    refused = found["refused"]
    yield all(refused.values()), f"{sum(refused.values())} of {len(refused)} worse candidates were refused."
    worst = found["canary_of_the_worst"]
    yield (
        worst["ended"] == "rollback",
        "The worst one, tried by force, was taken back by live signals."
        if worst["ended"] == "rollback"
        else f"The worst one, tried by force: {worst['ended']}.",
    )
    one = found["poison"]
    if one is not None:
        held = one["target_shown_to_them"] > 0 and abs(one["points"]) <= MOST_POINTS
        harmless = one["points_without_cap"] <= one["points"]  # the attack did nothing that a cap could stop
        yield (
            None if held and harmless else held,
            f"{one['sessions']} fake sessions of {one['accounts']} accounts pushed one item: its share of first places "
            f"moved by {_points(one['points'])} points, and by {_points(one['points_without_cap'])} without the cap on "
            "an account.",
        )
    yield True, f"A rollback while people talked took {found['rollback']['seconds']:.1f} s."


def _points(number: float) -> str:
    sign = "+" if number > 0.005 else ""
    return sign + short(number, 2)


def _rounds(found: Told) -> str:
    head = ["round", "hidden utility", "candidate's gain", "by SNIPS", "effective rounds", "gate"]
    rows = []
    for one in found["rounds"]:
        value, deciding = one["hidden_utility"], "snRIPS" if "snRIPS" in one["gain"] else "SNIPS"
        broken = [rule for rule in one["refused_by"] if rule != "verdict" and not rule.startswith("gain")]
        said = [one["verdict"], *broken[:1], *([f"canary {_ended(one['canary'])}"] if one["canary"] else [])]
        cells = [
            Cell(str(one["round"]), f"{one['served'][:8]} served"),
            Cell(short(value["value"]), f"{short(value['low'])} to {short(value['high'])}"),
            _gain(one["gain"].get(deciding)),
            _gain(one["gain"].get("SNIPS")),
            Cell(f"{one['ess']:.0f}", f"of {one['logged_rounds']}, {one['judged_by']} people"),
            Cell("passed" if one["passed"] else "refused", ", ".join(said), left=True),
        ]
        rows.append(("", cells))
    primary = found["rounds"][0]["primary"]
    named = "both intervals decide" if primary == "both" else f"{primary} decides, as the settings named beforehand"
    caption = (
        "Hidden utility of the people of a round, who are shown what is served. Gains are what the log says that the "
        f"candidate would earn more in a turn (snRIPS); {named}. Intervals are 95 %, over people."
    )
    return table(head, rows, caption)


def _gain(ends: Sequence[float | None] | None) -> Cell:
    value, low, high = ends or (None, None, None)
    if value is None:
        return Cell("not told")
    interval = "no interval" if low is None or high is None else f"{short(low)} to {short(high)}"
    return Cell(("+" if value > 0 else "") + short(value), interval)


def _decisions(told: dict[str, Told]) -> str:
    """One table each, folded; what fails stands in the line above it."""
    parts = []
    for name, gate in sorted(told.items(), key=_by_round):
        if not name.endswith("-gate"):
            continue
        rows = [
            (
                "",
                [
                    Cell(reason["rule"]),
                    Cell(_holds(reason["passed"]), bad=reason["passed"] is not True),
                    Cell(reason["said"], left=True),
                ],
            )
            for reason in gate["reasons"]
        ]
        wrong = [reason["rule"] for reason in gate["reasons"] if reason["passed"] is not True]
        said = f"refused: {', '.join(wrong)}" if wrong else "passed, every rule holds"
        what = f"{name.removesuffix('-gate')}: {gate['version'][:8]} beside {gate['current'][:8]}, {said}"
        parts.append(details(what, table(["rule", "", ""], rows)))
    return "".join(parts)


def _by_round(named: tuple[str, Told]) -> tuple[bool, str]:
    return not named[0].startswith("round-"), named[0]


def _ended(how: str) -> str:
    return {"promote": "promoted", "rollback": "taken back"}.get(how, how)


def _holds(passed: bool | None) -> str:
    return {True: "holds", False: "fails", None: "untold"}[passed]


def _canaries(told: dict[str, Told]) -> str:
    rows = []
    for name, one in sorted(told.items(), key=_by_round):
        if name.endswith("-canary"):
            look = one["look"] or {}
            sessions = Cell(str(look.get("sessions", "")), f"{look['beside']} beside" if look else "")
            name, ended = name.removesuffix("-canary"), _ended(one["ended"])
            cells = [Cell(name, one["version"][:8]), Cell(ended), sessions]
            rows.append(("", [*cells, Cell(one["why"], left=True)]))
    if not rows:
        return "<p>No candidate passed the gate.</p>"
    return table(
        ["candidate", "ended", "its sessions", "why"], rows, "The server watches what people do, and ends it by itself."
    )


def _poison(found: Told) -> str:
    one = found["poison"]
    if one is None:
        return "<p>No round was poisoned, or nothing could be measured.</p>"
    said = (
        f"{one['sessions']} fake sessions of {one['accounts']} accounts beside {one['honest_sessions']} of "
        f"{one['honest_accounts']} asked for “{one['title']}” by what it is, praised it in the "
        f"{one['target_shown_to_them']} in which it was shown, and refused all else. Its share of first places in "
        f"{one['contexts']} later turns of honest people:"
    )
    rows = [
        ("", [Cell("served"), Cell(f"{one['current']:.2%}"), Cell("")]),
        ("strong", [Cell("candidate"), Cell(f"{one['candidate']:.2%}"), Cell(_points(one["points"]))]),
        (
            "",
            [
                Cell("learnt without the cap on an account"),
                Cell(f"{one['without_cap']:.2%}"),
                Cell(_points(one["points_without_cap"])),
            ],
        ),
    ]
    return f"<p>{escape(said)}</p>{table(['policy', 'share', 'points'], rows)}"


def _rollback(told: dict[str, Told]) -> str:
    one = told["rollback"]
    said = f"{one['seconds']:.2f} s until the server said that it serves {one['back_to'][:8]} again."
    versions = dict.fromkeys((*one["answers_by_version"], *one["afterwards"]))
    rows = [
        (
            "",
            [
                Cell(version[:8]),
                *(Cell(str(one[part].get(version, 0))) for part in ("answers_by_version", "afterwards")),
            ],
        )
        for version in versions
    ]
    return f"<p>{escape(said)}</p>{table(['answers by', 'while people talked', 'afterwards'], rows)}"


def _time(found: Told) -> str:
    total = sum(found["seconds"].values())
    rows = [("", [Cell(name), Cell(f"{took:.0f}")]) for name, took in sorted(found["seconds"].items(), key=_by_time)]
    said = f"{total / 60.0:.1f} minutes by the clock, the supervised policy that is served first not counted."
    return f"<p>{said}</p>{details('step by step', table(['step', 'seconds'], rows))}"


def _by_time(named: tuple[str, float]) -> float:
    return -named[1]
