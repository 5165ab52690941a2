"""``tacit events ...``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, help="The log of a served recommender: export, count, check, delete.")

Log = Annotated[
    str, typer.Argument(metavar="STORE", help="The log: an SQLite file, or postgresql://user@host/database.")
]
Parquet = Annotated[Path | None, typer.Option(metavar="FOLDER", help="Its Parquet export.")]
KeyFolder = Annotated[Path | None, typer.Option("--keys", metavar="FOLDER", help="The folder with its keys.")]


@app.command("export")
def export(
    store: Log,
    parquet: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Append new rows to Parquet files here.")
    ] = None,
    dialogues: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the sessions as dialogues.")] = None,
    items: Annotated[Path | None, typer.Option(help="Items file: finds the items people named, checks ids.")] = None,
    kto: Annotated[Path | None, typer.Option(metavar="FILE", help="Write judged replies, for TRL's KTO.")] = None,
    dpo: Annotated[Path | None, typer.Option(metavar="FILE", help="Write pairs of replies, for TRL's DPO.")] = None,
) -> None:
    """Write the log as Parquet, by day, each row once; its sessions as dialogues that `tacit run` trains on; or what
    people said of replies, in TRL's forms.

    Parquet has no words; the others are of those alone who agreed to training.

    Examples:

        tacit events export log.sqlite --parquet export/

        tacit events export log.sqlite --dialogues own/train.jsonl --items own/items.jsonl

        tacit events export log.sqlite --kto kto.jsonl --dpo dpo.jsonl
    """
    from tacit.cli.events import export_log

    export_log(store, parquet, dialogues, items, kto, dpo)


@app.command("stats")
def stats(
    source: Annotated[str, typer.Argument(metavar="STORE|FOLDER", help="The log, or its Parquet export.")],
) -> None:
    """Count what the log holds. For a large log, export it first and count the export: the numbers are the same.

    Example: `tacit events stats export/`
    """
    from tacit.cli.events import print_stats

    print_stats(source)


@app.command("check")
def check(store: Log, keys: KeyFolder = None, parquet: Parquet = None) -> None:
    """Report every fault of the log, one a line. Exit code 1 when there is one.

    With its keys, also what was changed after it was written; with its export, what is there twice or was deleted.

    Example: `tacit events check log.sqlite --keys keys/ --parquet export/`
    """
    from tacit.cli.events import check_log

    if check_log(store, keys, parquet):
        raise typer.Exit(1)


@app.command("delete-user")
def delete_user(
    store: Log,
    pseudonym: Annotated[str | None, typer.Argument(metavar="PSEUDONYM", help="As it stands in the log.")] = None,
    user: Annotated[str | None, typer.Option(metavar="ID", help="The user's own id instead; needs --keys.")] = None,
    keys: KeyFolder = None,
    parquet: Parquet = None,
    dialogues: Annotated[list[Path] | None, typer.Option(metavar="FILE", help="Files of dialogues, too.")] = None,
) -> None:
    """Delete a person from the log down to the bytes of its files, from its export and from dialogues made of it.

    Example: `tacit events delete-user log.sqlite 8f14e45fceea167a5a36dedd4bea2543 --parquet export/`
    """
    from tacit.cli.events import delete_person

    delete_person(store, pseudonym, user, keys, parquet, dialogues or [])


@app.command("backup")
def backup(
    store: Log, path: Annotated[Path, typer.Argument(metavar="FILE", help="The copy; an older one is replaced.")]
) -> None:
    """Copy an SQLite log as it is at one moment, while it is written to.

    Example: `tacit events backup log.sqlite backups/log.sqlite`
    """
    from tacit.cli.events import back_up

    back_up(store, path)
