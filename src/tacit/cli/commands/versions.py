"""``tacit gate``, ``promote``, ``rollback``, ``versions``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

State = Annotated[
    Path,
    typer.Argument(metavar="STATE", help="What `tacit serve` keeps: RUN/serve, or its --state folder; or the run."),
]
Version = Annotated[str, typer.Argument(metavar="VERSION", help="Its name or how that begins, or a policy folder.")]


def gate(
    policy: Annotated[Path, typer.Argument(metavar="RUN|POLICY", help="The candidate: a run, or a policy folder.")],
    ope: Annotated[Path, typer.Option("--ope", metavar="REPORT", help="The candidate's ope.json, by `tacit ope`.")],
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Limits to change, such as guards.kl=1 gain=0.01.")
    ] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="STATE", help="Where it would be served. Default: RUN/serve.")
    ] = None,
    store: Annotated[
        str | None, typer.Option(metavar="STORE", help="The log whose contexts the guards replay. Default: STATE's.")
    ] = None,
    exam: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its reward's validation.json. Default: the run's.")
    ] = None,
    stage: Annotated[str, typer.Option(help="Which policy of the run. Default: the last that is there.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of the contexts and draws of the guards.")] = 0,
) -> None:
    """Say whether a policy may be served, with a reason for every rule. Exit code 1 when it may not.

    It is registered, and the decision stands in the audit, with the hash of the report.

    Example: `tacit gate runs/round-2 --ope runs/round-2/ope/ope.json --state runs/demo-seed0/serve`
    """
    from tacit.cli.versions import ask_gate

    if not ask_gate(policy, ope, settings or [], state, store, exam, stage, seed):
        raise typer.Exit(1)


def promote(
    state: State,
    version: Version,
    share: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Give it this share of the sessions, as a canary.")
    ] = None,
    why: Annotated[str, typer.Option(help="For the audit.")] = "",
    force: Annotated[str, typer.Option(metavar="REASON", help="Without the gate; the audit keeps the reason.")] = "",
) -> None:
    """Serve a version that the gate let pass: to all, or to a share of the sessions. Servers follow within a second.

    Examples:

        tacit promote runs/demo-seed0/serve 3f1c9a52 --share 0.05

        tacit promote runs/demo-seed0/serve 3f1c9a52
    """
    from tacit.cli.versions import promote_version

    promote_version(state, version, share, why, force)


def rollback(state: State, why: Annotated[str, typer.Option(help="For the audit.")] = "") -> None:
    """End the canary where one runs; else go back to the version before the current one.

    Example: `tacit rollback runs/demo-seed0/serve --why "clicks fell"`
    """
    from tacit.cli.versions import roll_back

    roll_back(state, why)


def versions(
    state: State, audit: Annotated[bool, typer.Option("--audit", help="Every decision, the oldest first.")] = False
) -> None:
    """List the versions, which is served, and what the gate said. Checks files and audit; exit code 1 on a fault.

    Example: `tacit versions runs/demo-seed0/serve --audit`
    """
    from tacit.cli.versions import show_versions

    if show_versions(state, audit):
        raise typer.Exit(1)
