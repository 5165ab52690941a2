"""``tacit data ...``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from tacit.run.terminal import printable

app = typer.Typer(no_args_is_help=True, help="Check, convert and get dialogue data.")


@app.command("check")
def check(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Dialogues, one JSON object a line, or their folder.")],
    items: Annotated[Path | None, typer.Option(help="Items file. Default: items.jsonl beside the dialogues.")] = None,
) -> None:
    """Report every bad line with its number and reason, and what a run can observe. Exit code 1 when a line is bad.

    Examples:

        tacit data check logs.jsonl --items items.jsonl

        tacit data check own/
    """
    from tacit.cli.data import check_data

    if check_data(path, items):
        raise typer.Exit(1)


@app.command("convert")
def convert(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="redial, opendialkg or openai.")],
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The data set's folder; for openai a JSON-lines file.")],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for items.jsonl, train.jsonl, test.jsonl.")],
    items: Annotated[Path | None, typer.Option(help="Items file; openai only, where it is required.")] = None,
) -> None:
    """Write dialogues in Tacit's own form, from another one.

    Examples:

        tacit data convert redial ~/data/redial own/

        tacit data convert openai chats.jsonl own/ --items items.jsonl
    """
    from tacit.cli.data import convert_data

    print(convert_data(source, path, out, items))


@app.command("get")
def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="redial, opendialkg, ml-1m or ml-100k.")],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the files go.")],
    local: Annotated[Path | None, typer.Option("--from", help="A copy to take instead of downloading.")] = None,
) -> None:
    """Download a public data set, saying every address first; an interrupted download goes on.

    Example: `tacit data get redial ~/data/redial`
    """
    from tacit.data.dialogues.get import get as get_data

    for path in get_data(name, folder, local, say=lambda line: print(f"tacit: {printable(line)}", file=sys.stderr)):
        print(path)
