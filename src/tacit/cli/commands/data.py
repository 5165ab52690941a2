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


Columns = Annotated[
    list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="Which column of a table a field is in.")
]


@app.command("convert")
def convert(
    source: Annotated[
        str,
        typer.Argument(metavar="SOURCE", help="redial, opendialkg, or chats: openai, chatgpt, sharegpt, langfuse, ..."),
    ],
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="The data set's folder; of chats a file, folder or zip.")
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Folder for items.jsonl, train.jsonl, test.jsonl.")],
    items: Annotated[Path | None, typer.Option(help="Items file; chats need one.")] = None,
    form: Annotated[
        str, typer.Option(help="Of chats: openai, chatgpt, sharegpt, langfuse, open-webui or csv. Default: found out.")
    ] = "",
    columns: Columns = None,
    scores: Annotated[
        list[str] | None,
        typer.Option("--score", metavar="NAME=LEAST", help="Langfuse: a score that is for the reply from LEAST on."),
    ] = None,
) -> None:
    """Write dialogues in Tacit's own form, from another one. What is left out is counted by name.

    Examples:

        tacit data convert redial ~/data/redial own/

        tacit data convert chats export.zip own/ --items items.jsonl

        tacit data convert csv talks.csv own/ --items items.jsonl --map conversation=thread --map text=body
    """
    from tacit.cli.data import convert_data

    print(convert_data(source, path, out, items, form, columns or [], scores or []))


@app.command("items")
def items_command(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="A catalogue: csv, JSON lines or Parquet.")],
    out: Annotated[
        Path, typer.Argument(metavar="OUT", help="items.jsonl; ending in .json, items to add to a served policy.")
    ],
    columns: Columns = None,
    separator: Annotated[str, typer.Option(help="What stands between the values of one field.")] = "|",
) -> None:
    """Write an items file from a table. Fields are id, title, text, year, plot, count; any other is an attribute.

    Columns that have a field's name are taken as that field; other columns are left out unless --map names them.

    Examples:

        tacit data items films.csv items.jsonl --map id=movieId --map genre=genres

        tacit data items shop.parquet items.jsonl --map id=sku --map title=name --map text=description --map brand=maker
    """
    from tacit.cli.data import convert_items

    print(convert_items(path, out, columns or [], separator))


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
