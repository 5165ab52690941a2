"""The token ids of smollm2 are llama.cpp's, line by line of ReDial and of what GPT-2's way of cutting gets wrong.

llama-cpp-python must be compiled, so it is asked in an environment of its own: TACIT_LLAMA_PYTHON names its python.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tacit.data.dialogues.sources import DataConfig, load_training
from tacit.text.gguf import SMOLLM2, gguf_file
from tacit.text.lm import load_tokenizer
from tacit.types import InputError

pytestmark = pytest.mark.integration
LINES = 500
HARD = [
    "\n\n1999",
    "a\n\n\n12 b",
    "1,234.5",
    "  two  spaces ",
    "don't I'LL we're",
    "½ ² ٣ Ⅷ",
    "naïve 日本語 🎬",
    "\t\r\n x",
]
ASK = (
    "import json, sys; from llama_cpp import Llama; path, lines = json.load(sys.stdin);"
    "lm = Llama(path, vocab_only=True, verbose=False);"
    "json.dump([lm.tokenize(line.encode(), add_bos=False, special=False) for line in lines], sys.stdout)"
)


def test_the_ids_are_llama_cpps() -> None:
    python, data = os.environ.get("TACIT_LLAMA_PYTHON"), os.environ.get("TACIT_DATA")
    if not python or not data or not (Path(data) / "redial").is_dir():
        pytest.skip("set TACIT_LLAMA_PYTHON to a python with llama-cpp-python, TACIT_DATA to a folder with redial/")
    try:
        path = gguf_file(SMOLLM2, "policy.base")
    except InputError as error:
        pytest.skip(str(error))
    _, split = load_training(DataConfig(name="redial", path=str(Path(data) / "redial")))
    texts = [turn.text for dialogue in split.train[:200] for turn in dialogue.turns][:LINES]
    lines = [*HARD, *texts, *(f"{text}\n\n{text}" for text in texts[:100])]
    asked = json.dumps([str(path), lines])
    answer = subprocess.run([python, "-c", ASK], input=asked, capture_output=True, text=True, check=True)
    tokenizer = load_tokenizer(SMOLLM2, "policy.base")
    ours = [tokenizer.encode(line, add_special_tokens=False) for line in lines]
    differ = [line for line, own, theirs in zip(lines, ours, json.loads(answer.stdout), strict=True) if own != theirs]
    assert not differ
