"""Quiet by default: the command line starts offline and goes online only for a named model, saying so first."""

from __future__ import annotations

import os
import sys
from pathlib import Path

_OURS = "TACIT_QUIET"  # set beside HF_HUB_OFFLINE when we, not the user, chose to be offline


def start_quiet() -> None:
    """Before transformers is imported: no telemetry, and no request unless ``allow_download`` allows it."""
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    if "HF_HUB_OFFLINE" not in os.environ:
        os.environ["HF_HUB_OFFLINE"] = os.environ[_OURS] = "1"


def quiet_progress_bars() -> None:
    """No bars of transformers for reading and writing weights: they take milliseconds. Download bars stay."""
    from transformers.utils import logging

    logging.disable_progress_bar()


def allow_download(key: str, name: str) -> None:
    """Call before loading the model ``name`` that setting ``key`` asks for; a local or cached one changes nothing."""
    from huggingface_hub import constants, try_to_load_from_cache

    if Path(name).exists() or isinstance(try_to_load_from_cache(name, "config.json"), str):
        return
    if os.environ.get(_OURS):
        os.environ.pop(_OURS)
        os.environ["HF_HUB_OFFLINE"] = "0"
        constants.HF_HUB_OFFLINE = False
    if not constants.HF_HUB_OFFLINE:
        print(f"tacit: {name} ({key}) is not on this machine, asking the Hugging Face hub", file=sys.stderr, flush=True)
