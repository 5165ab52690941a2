"""``tacit serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def serve(
    run_folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or a policy folder in one.")],
    dev: Annotated[bool, typer.Option("--dev", help="Try it: loopback alone, a page, no set-up.")] = False,
    host: Annotated[str, typer.Option(help="The address to listen at; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 is a free one.")] = 8000,
    stage: Annotated[str, typer.Option(help="Which policy: ppo or sft. Default: the last that is there.")] = "",
    beside: Annotated[Path | None, typer.Option(help="Another run or policy folder, shown side by side.")] = None,
    state: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Log, keys, tokens, versions. Default: RUN/serve.")
    ] = None,
    store: Annotated[
        str | None, typer.Option(metavar="STORE", help="The log: a file, or postgresql://user@host/database.")
    ] = None,
    page: Annotated[bool, typer.Option("--page", help="Serve the chat page to anyone.")] = False,
    origin: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Another site whose pages may ask (CORS).")
    ] = None,
    epsilon: Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of places drawn uniformly.")] = 0.02,
    temperature: Annotated[float, typer.Option(min=0.01, max=100.0, help="Of the slate's softmax.")] = 1.0,
    top_k: Annotated[int, typer.Option(min=0, help="Draw among the best so many; 0 is among all.")] = 0,
    words_temperature: Annotated[float, typer.Option(min=0.01, max=100.0, help="Of the words of replies.")] = 0.7,
    greedy: Annotated[bool, typer.Option("--greedy", help="Always the likeliest turn: nothing can be learnt.")] = False,
    canary: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Of canaries: sessions=50, window_s=600, alpha=0.01.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    new_token: Annotated[str | None, typer.Option(metavar="NAME", help="Make a token, print it once, and end.")] = None,
    scope: Annotated[list[str] | None, typer.Option(help="Of the new token: chat, users, admin.")] = None,
) -> None:
    """Serve a policy: a chat page, OpenAI's API, and the log of what was shown. Stop it with Ctrl-C.

    Examples:

        tacit serve runs/demo-seed0 --dev

        tacit serve runs/demo-seed0 --new-token shop --scope chat
    """
    from tacit.cli import serve as serving

    folder = state or serving.default_folder(run_folder)
    if new_token is not None:
        serving.make_token(folder, new_token, scope or ["chat"])
        return
    draws = serving.Draws(epsilon, temperature, top_k, words_temperature, greedy)
    place = serving.Place(host, port, dev, page, tuple(origin or ()))
    serving.serve(run_folder, folder, store, stage, beside, device, draws, place, canary or [])
