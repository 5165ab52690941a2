"""Adapters in a folder of their own, as peft saves them: found before anything is loaded, merged into their base."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peft import PeftModel
from transformers import PreTrainedModel
from transformers.utils.hub import cached_file
from transformers.utils.peft_utils import find_adapter_config_file

from tacit.run.network import allow_download
from tacit.text.gguf import is_gguf
from tacit.types import InputError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


@dataclass(frozen=True)
class Adapters:
    folder: str  # or hub name
    base: str  # folder or hub name of the model that they were trained on


def read_adapters(source: str, key: str) -> Adapters | None:
    """The adapters in folder or hub name ``source``, which setting ``key`` names; None where it holds a whole model.

    Nothing is loaded, so that a stage can ask first. InputError where the base is not named or not there.
    """
    path = Path(source) / CONFIG
    if not Path(source).is_dir():
        try:
            found = find_adapter_config_file(source)
        except (OSError, ValueError):  # no name of the hub, or none that it answers for: loading says so
            return None
        path = Path(found) if found else path
    if not path.is_file():
        return None
    _refuse_pickles(source, key)
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}): save the adapters anew, or give a whole model.") from None
    base = settings.get("base_model_name_or_path") if isinstance(settings, dict) else None
    if not isinstance(base, str) or not base:
        raise InputError(f"{path} names no base_model_name_or_path: merge the adapters yourself and give the result.")
    beside = Path(source) / base
    if not Path(base).exists() and beside.exists():
        base = str(beside)
    if not Path(base).exists() and (Path(base).is_absolute() or base.startswith(".") or base.count("/") > 1):
        raise InputError(
            f"{key}={source!r} holds adapters of {base!r}, which is not there: put the base model there, or correct "
            f"base_model_name_or_path in {path}, or give a merged model."
        )
    if (Path(base) / CONFIG).is_file():
        raise InputError(f"{key}={source!r} holds adapters of adapters ({base!r}): merge them and give the result.")
    if not is_gguf(base):
        with contextlib.suppress(ValueError):  # no name that the hub could have: loading says so
            allow_download(key, base)
    return Adapters(source, base)


def _refuse_pickles(source: str, key: str) -> None:
    """InputError where the adapters' weights are not there as safetensors: peft would then open a pickle."""
    try:
        there = (
            (Path(source) / WEIGHTS).is_file() if Path(source).is_dir() else cached_file(source, WEIGHTS) is not None
        )
    except (OSError, ValueError):
        there = False
    if not there:
        raise InputError(
            f"{key}={source!r} has no {WEIGHTS} (or it could not be fetched): the older adapter_model.bin can run code "
            "when it is opened, so it is never read; save the adapters with a recent peft (save_pretrained)."
        )


def merged(model: PreTrainedModel, vocabulary: int, adapters: Adapters, key: str) -> PreTrainedModel:
    """The base ``model`` with the adapters' change in its own weights: no adapters are left, all weights trainable.

    ``vocabulary``: the tokens of the adapters' tokenizer, for which rows are added where the base has fewer.
    """
    try:
        embeddings: Any = model.get_input_embeddings()
        if vocabulary > embeddings.weight.shape[0]:
            model.resize_token_embeddings(vocabulary, mean_resizing=False)
        whole: PreTrainedModel = PeftModel.from_pretrained(model, adapters.folder).merge_and_unload()
    except (OSError, ValueError, RuntimeError, AttributeError, KeyError, TypeError) as error:
        raise InputError(
            f"{key}={adapters.folder!r}: its adapters cannot be merged into {adapters.base!r} "
            f"({str(error).strip().splitlines()[0]}): give a merged model."
        ) from error
    whole.requires_grad_(True)
    return whole
