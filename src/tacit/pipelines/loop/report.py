"""``loop.json`` and ``report.html``: what the circle did, round by round."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from tacit.metrics.intervals import bootstrap_mean
from tacit.pipelines.loop.settings import LoopConfig
from tacit.report.page import Cell, alert, short, table
from tacit.report.page import write as write_page
from tacit.run.files import atomic_write, read_json
from tacit.serve.registry import Registry

Told = dict[str, Any]


def write(folder: Path, config: LoopConfig, steps: Path, registry: Registry) -> Path:
    """The folder."""
    told = {path.stem: read_json(path, "run the loop again.") for path in sorted(steps.glob("*.json"))}
    found = summary(told, config)
    found["audit"] = {"rows": len(registry.audit.rows()), "faults": registry.faults()}
    atomic_write(folder / "loop.json", json.dumps(found, indent=1, allow_nan=False) + "\n")
    sections = [
        ("rounds", "Rounds", _rounds(found)),
        ("gate", "What the gate said", _decisions(told)),
        ("canaries", "Canaries", _canaries(told)),
        ("poison", "The poisoned round", _poison(found)),
        ("rollback", "Taken back while people talked", _rollback(told)),
    ]
    faults = "".join(alert("The audit has a fault.", fault) for fault in found["audit"]["faults"])
    lead = f"<p>Simulated users, the real server and log; {escape(_learner(config))}</p>{faults}"
    write_page(folder, "", lead, sections, title="The loop, on simulated users")
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
                "ess": gate["ess"],
                "logged_rounds": gate["rounds"],
                "passed": gate["passed"],
                "canary": told.get(f"{name}-canary", {}).get("ended"),
                "events_refused": told[f"{name}-visit"]["rejected_events"],
            }
        )
    return {
        "rounds": rounds,
        "refused": {name: bool(told[f"{name}-promote"]["refused"]) for name in ("worse", "worst")},
        "canary_of_the_worst": {key: told["worst-canary"][key] for key in ("ended", "why")},
        "poison": poison(told, config),
        "rollback": told["rollback"],
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
        return f"candidates are learnt from the log ({config.learn.method})."
    return "candidates are made by hand (the slate's logits made sharper), none was learnt from the log."


def _rounds(found: Told) -> str:
    head = ["round", "served", "hidden utility", "candidate", "effective rounds", "verdict", "gate", "canary"]
    rows = []
    for one in found["rounds"]:
        value = one["hidden_utility"]
        cells = [
            Cell(str(one["round"])),
            Cell(one["served"][:8]),
            Cell(short(value["value"]), f"{short(value['low'])} to {short(value['high'])}, {value['n']} people"),
            Cell(one["candidate"][:8]),
            Cell(short(one["ess"]), f"of {one['logged_rounds']}"),
            Cell(one["verdict"]),
            Cell("passed" if one["passed"] else "refused"),
            Cell(one["canary"] or ""),
        ]
        rows.append(("", cells))
    return table(head, rows)


def _decisions(told: dict[str, Told]) -> str:
    parts = []
    for name, gate in told.items():
        if name.endswith("-gate"):
            rows = [
                (
                    "",
                    [
                        Cell(reason["rule"]),
                        Cell(_holds(reason["passed"]), bad=not reason["passed"]),
                        Cell(reason["said"], left=True),
                    ],
                )
                for reason in gate["reasons"]
            ]
            caption = (
                f"{escape(name.removesuffix('-gate'))}: {escape(gate['version'])} beside {escape(gate['current'])}"
            )
            parts.append(table(["rule", "", ""], rows, caption))
    return "".join(parts)


def _holds(passed: bool | None) -> str:
    return {True: "holds", False: "fails", None: "untold"}[passed]


def _canaries(told: dict[str, Told]) -> str:
    rows = []
    for name, one in told.items():
        if name.endswith("-canary"):
            look = one["look"] or {}
            sessions = f"{look.get('sessions', '?')} of it, {look.get('beside', '?')} beside"
            cells = [Cell(name.removesuffix("-canary")), Cell(one["version"][:8]), Cell(one["ended"]), Cell(sessions)]
            rows.append(("", [*cells, Cell(one["why"], left=True)]))
    return (
        table(["of", "version", "ended by", "sessions", "why"], rows)
        if rows
        else "<p>No candidate passed the gate.</p>"
    )


def _poison(found: Told) -> str:
    one = found["poison"]
    if one is None:
        return "<p>No round was poisoned, or nothing could be measured.</p>"
    said = (
        f"{one['sessions']} fake sessions of {one['accounts']} accounts pushed {one['target']}, which they were shown "
        f"{one['target_shown_to_them']} times. Its share of first places, in {one['contexts']} turns of the log:"
    )
    rows = [
        ("", [Cell("served"), Cell(f"{one['current']:.2%}"), Cell("")]),
        ("", [Cell("candidate"), Cell(f"{one['candidate']:.2%}"), Cell(f"{one['points']:+.2f}")]),
        (
            "",
            [
                Cell("learnt without the cap on an account"),
                Cell(f"{one['without_cap']:.2%}"),
                Cell(f"{one['points_without_cap']:+.2f}"),
            ],
        ),
    ]
    return f"<p>{escape(said)}</p>{table(['policy', 'share', 'points'], rows)}"


def _rollback(told: dict[str, Told]) -> str:
    one = told["rollback"]
    said = (
        f"{one['seconds']:.2f} s until the server said that it serves {one['back_to'][:8]} again. Answers while people "
        f"talked: {one['answers_by_version']}; afterwards: {one['afterwards']}."
    )
    return f"<p>{escape(said)}</p>"
