"""How a byte-level tokenizer cuts text into words before its merges, from the name that a GGUF file has for it.

A GGUF names a way of cutting (``tokenizer.ggml.pre``) in place of describing it. transformers knows some of the names
and takes GPT-2's way for all others, which cuts numbers wrongly for half of them. Source of the names: llama.cpp,
src/llama-vocab.cpp.
"""

from __future__ import annotations

import logging
from typing import Any

from tokenizers import pre_tokenizers
from transformers import PreTrainedTokenizerBase

from tacit.types import InputError

log = logging.getLogger("tacit")

GPT2 = frozenset(
    [
        *("gpt-2", "mpt", "olmo", "jais", "trillion", "granite-docling", "phi-2", "gigachat", "a.x-4.0", "mellum"),
        *("jina-es", "jina-de", "jina-v2-es", "jina-v2-de"),
    ]
)
# Every digit alone, and before anything else: of a blank line and "1999" GPT-2's way leaves "\n", "\n", "1999", and
# this one "\n\n", "1", "9", "9", "9".
DIGITS = frozenset(["smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"])
WHOLE_WORDS = frozenset(["llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "lfm2", "tekken"])


def set_pre_tokenizer(tokenizer: PreTrainedTokenizerBase, name: str | None, named: str) -> None:
    """Cut text in the way ``name``; ``InputError`` where it is not known here. ``named``: the setting, for messages.

    Old files have no name: they are cut in GPT-2's way, with a warning.
    """
    backend: Any = tokenizer.backend_tokenizer
    if not name:
        log.warning("%s does not say how its tokenizer cuts text into words: it is cut as GPT-2's", named)
    if not name or name in GPT2:
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    elif name in DIGITS:
        digits = pre_tokenizers.Digits(individual_digits=True)
        backend.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    elif name not in _set_by_transformers():
        raise InputError(
            f"{named} cuts text in a way that is not known here ({name!r}): give the model as a folder or hub name, "
            "which has its tokenizer's own file."
        )
    if name in WHOLE_WORDS:
        backend.model.ignore_merges = True  # a word that is a token is taken whole, whatever the merges make of it


def _set_by_transformers() -> frozenset[str]:
    """The names for which transformers has set the way of cutting already."""
    try:
        from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS
    except ImportError:  # another version, which knows none
        return frozenset()
    return frozenset(GGUF_PRE_TOKENIZER_SPLITS)
