#!/usr/bin/env bash
# torch 2.13.0: an in-place change of a tensor raises its `_version`, by which autograd notices that a saved tensor was
# overwritten and by which caches notice new weights. AdamW raises it; AdamW(fused=True) changes the same weight and does
# not:
#
#     fused=False   the weight changed, version 0 → 2
#     fused=True    the weight changed, version 0 → 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0
"$folder/venv/bin/python" - <<'PYTHON'
import torch

print("torch", torch.__version__)
raised = {}
for fused in (False, True):
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([weight], lr=0.1, fused=fused)
    before, version = weight.detach().clone(), weight._version
    weight.sum().backward()
    optimizer.step()
    assert not torch.equal(before, weight.detach()), "the step changed nothing"
    raised[fused] = weight._version - version
    print(f"fused={fused}: version {version} -> {weight._version}")
assert raised[False] > 0, "a plain step no longer raises the version"
assert raised[True] == 0, "a fused step raises the version now"
PYTHON
