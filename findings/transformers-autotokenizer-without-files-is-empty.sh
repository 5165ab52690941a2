#!/usr/bin/env bash
# transformers 5.23.0: AutoTokenizer.from_pretrained of a folder that has config.json and no tokenizer file at all (weights saved by
# model.save_pretrained alone, say) returns a tokenizer for GPT-2, Qwen2, BERT and Gemma, with a vocabulary of its special tokens. For
# GPT-2 and Qwen2 every text is then encoded to no token, for BERT each word to [UNK], for Gemma a text to one token; nothing is
# said. Training goes on with empty prompts. For Llama the same folder is refused with a ValueError. Look at len(tokenizer).
#
#     gpt2   GPT2Tokenizer, 1 token,  "a film please" -> []
#     qwen2  Qwen2Tokenizer, 1 token, "a film please" -> []
#     bert   BertTokenizer, 5 tokens, "a film please" -> [2, 1, 1, 1, 3]
#     gemma  GemmaTokenizer, 5 tokens, "a film please" -> [3]
#     llama  ValueError
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 sentencepiece==0.2.1
cat > "$folder/empty.py" <<'PYTHON'
import json
import logging
import pathlib
import sys

import transformers

logging.disable(logging.WARNING)
expected = {"gpt2": (1, []), "qwen2": (1, []), "bert": (5, [2, 1, 1, 1, 3]), "gemma": (5, [3]), "llama": None}
for kind, wanted in expected.items():
    folder = pathlib.Path(sys.argv[1]) / kind
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": kind}))
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        found = len(tokenizer), tokenizer("a film please")["input_ids"]
        print(f"{kind}: {type(tokenizer).__name__}, {found[0]} tokens, {found[1]}")
    except ValueError:
        found = None
        print(f"{kind}: ValueError")
    assert found == wanted, f"{kind} is otherwise now"
PYTHON
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" "$folder/empty.py" "$folder"
