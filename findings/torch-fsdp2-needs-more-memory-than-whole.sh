#!/usr/bin/env bash
# torch 2.13.0, FSDP2 (fully_shard) on a CPU: a model in two parts takes more memory in each of two processes than the whole model
# takes. Its tensors are half as large, as they should be. But the layers' weights come together and part again, step by step, in
# blocks below 32 MB, and there the C library (glibc) keeps what is freed: its own limit, above which a block goes back to the
# system, rises by itself to that size. With the limit held at a megabyte the same training takes three fifths of the whole model's.
#
#     whole in both processes               peak beyond the start  828 MB
#     in two parts                          peak beyond the start 1501 MB
#     in two parts, large blocks given back peak beyond the start  497 MB
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cat > "$folder/train.py" <<'PYTHON'
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard


def resident(line):
    """Megabytes: VmRSS is what is held now, VmHWM the most since the mark was set back."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(one.split()[1]) for one in lines if one.startswith(line)) / 1024


dist.init_process_group("gloo")
torch.manual_seed(0)
before = resident("VmRSS")
blocks = [nn.Sequential(nn.Linear(640, 2560), nn.GELU(), nn.Linear(2560, 640)) for _ in range(15)]
net = nn.Sequential(*blocks)  # 49 million weights, 6.5 MB a layer
if sys.argv[1] == "parts":
    for block in blocks:
        fully_shard(block)
    fully_shard(net)
Path("/proc/self/clear_refs").write_text("5")  # the mark begins anew (proc(5))
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)
for _ in range(4):
    optimizer.zero_grad(set_to_none=True)
    for _ in range(4):  # pieces of a batch
        net(torch.randn(32, 640)).square().mean().backward()
    optimizer.step()
peak = resident("VmHWM") - before
if dist.get_rank() == 0:
    print(f"{peak:.0f}")
dist.destroy_process_group()
PYTHON
peak() { OMP_NUM_THREADS=1 timeout 900 "$folder/venv/bin/python" -m torch.distributed.run --standalone --nproc-per-node 2 "$folder/train.py" "$1"; }
whole=$(peak whole) parts=$(peak parts)
given_back=$(MALLOC_MMAP_THRESHOLD_=1000000 MALLOC_TRIM_THRESHOLD_=1000000 peak parts)
echo "torch $("$folder/venv/bin/python" -c 'import torch; print(torch.__version__)'), $(ldd --version | head -1)"
echo "whole in both processes               peak beyond the start $whole MB"
echo "in two parts                          peak beyond the start $parts MB"
echo "in two parts, large blocks given back peak beyond the start $given_back MB"
test "$parts" -gt "$whole"
test $((10 * given_back)) -lt $((7 * whole))
