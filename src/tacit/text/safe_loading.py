"""What a model's folder may make its loader do: read numbers and words, and run nothing.

Folders come from hubs and from strangers. Code in them, or named by them, is never imported, and weights are read from
safetensors alone: the older formats are pickles, which run what they hold when they are opened.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from tacit.types import InputError

NO_CODE: Final = {"trust_remote_code": False}
WEIGHTS: Final = {**NO_CODE, "use_safetensors": True}
_PICKLES = ("pytorch_model*.bin", "adapter_model*.bin", "*.pt", "*.pth", "*.pkl", "*.ckpt", "*.h5", "*.msgpack")
_OURS = "sentence_transformers."  # the modules of sentence encoders, by class


def refuse_code(source: str | Path, key: str) -> None:
    """``InputError`` where the folder ``source``, which setting ``key`` names, holds its weights as pickles alone, or
    names a class of its own. A hub's name is left to the loader, which is told the same."""
    folder = Path(source)
    if not folder.is_dir():
        return
    pickles = sorted(path for pattern in _PICKLES for path in folder.glob(pattern))
    if pickles and not list(folder.glob("*.safetensors")):
        raise InputError(
            f"{key}={str(source)!r} holds {pickles[0].name} and no safetensors: such a file can run code when it is "
            "opened; save the model as safetensors (save_pretrained of transformers does)."
        )
    _refuse_foreign_modules(folder / "modules.json", key)


def _refuse_foreign_modules(path: Path, key: str) -> None:
    if not path.is_file():
        return
    try:
        kinds = [str(module["type"]) for module in json.loads(path.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is damaged: take another copy of the encoder for {key}.") from error
    foreign = [kind for kind in kinds if not kind.startswith(_OURS)]
    if foreign:
        raise InputError(
            f"{path} names the class {foreign[0]!r}, which is code of its own: {key} takes encoders that are made of "
            "the modules of sentence-transformers."
        )
