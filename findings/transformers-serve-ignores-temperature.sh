#!/usr/bin/env bash
# transformers 5.23.0: `transformers serve` answers OpenAI's /v1/chat/completions, but a request's `temperature` alone does
# not make it sample: it decodes greedily unless the model's generation config says do_sample, so that N "samples" of one
# prompt are N equal texts. OpenAI's own endpoint, vLLM and llama.cpp's server sample at this temperature. The setting that
# helps is one of transformers' own, passed in the body: generation_config = '{"do_sample": true}'.
#
# Shown with a model of random weights, whose next tokens are nearly uniform:
#
#     temperature 1.5, six requests                     : 1 different answers
#     the same, generation_config do_sample             : 6 different answers
set -euo pipefail
folder=$(mktemp -d)
trap 'kill "${server:-}" 2>/dev/null || true; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'transformers[serving]==5.23.0' httpx
export HF_HOME="$folder/hub" HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1
mkdir -p "$folder/hub/hub"
"$folder/venv/bin/python" - "$folder/model" <<'PYTHON'
import sys

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

words = {word: place for place, word in enumerate(["<s>", "</s>", "<unk>", *(f"w{n}" for n in range(197))])}
plain = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
plain.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer = PreTrainedTokenizerFast(tokenizer_object=plain, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>")
tokenizer.chat_template = "{% for message in messages %}{{ message['content'] }} {% endfor %}"
torch.manual_seed(0)
model = LlamaForCausalLM(
    LlamaConfig(vocab_size=200, hidden_size=32, intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, bos_token_id=0, eos_token_id=1)
)
model.save_pretrained(sys.argv[1])
tokenizer.save_pretrained(sys.argv[1])
PYTHON
port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$folder/venv/bin/transformers" serve --host 127.0.0.1 --port "$port" "$folder/model" >"$folder/log" 2>&1 &
server=$!
"$folder/venv/bin/python" - "$folder/model" "http://127.0.0.1:$port" <<'PYTHON' || { tail -n 30 "$folder/log"; exit 1; }
import sys
import time

import httpx

model, host = sys.argv[1:]
for _ in range(300):
    try:
        if httpx.get(host + "/health").status_code == 200:
            break
    except httpx.TransportError:
        time.sleep(1)


def different(**more: object) -> int:
    answers = set()
    for _ in range(6):
        body = {"model": model, "messages": [{"role": "user", "content": "w1 w2 w3"}], "temperature": 1.5, "max_tokens": 12, **more}
        answer = httpx.post(host + "/v1/chat/completions", json=body, timeout=300)
        answer.raise_for_status()
        answers.add(answer.json()["choices"][0]["message"]["content"])
    return len(answers)


alone = different()
asked = different(generation_config='{"do_sample": true}')
print(f"temperature 1.5, six requests                     : {alone} different answers")
print(f"the same, generation_config do_sample             : {asked} different answers")
assert alone == 1, "a temperature alone makes the server sample now"
assert asked > 1, "do_sample no longer makes it sample"
PYTHON
