#!/usr/bin/env bash
# torch 2.13.0, FSDP2 (fully_shard): where the input of the first sharded layer asks for a gradient on one process and not
# on another, the gradients of two different weights are added up, and nothing is said. A layer whose input asks for one
# hands its gradients over as soon as autograd has passed it; one whose input does not, after the root has handed over its
# own. The processes then meet in different orders, and where the sizes happen to agree a weight gets the mean of its own
# gradient and another weight's (where they do not, a crash or a wait without end). It is no rare input: with frozen
# embeddings and a few trained rows, whether the input asks for a gradient depends on the tokens of the batch.
# set_reduce_scatter_unused_params(True), which is there for control flow that differs between processes, does not help.
#
#     input asks for a gradient nowhere           first as it should be
#     input asks for a gradient everywhere        first as it should be
#     input asks for a gradient on process 1      first is the mean of the gradients of first and of scale
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cat > "$folder/train.py" <<'PYTHON'
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 2, bias=False)
        self.second = nn.Linear(2, 4, bias=False)
        self.scale = nn.Parameter(torch.ones(4))  # as many numbers as the first layer has

    def forward(self, x):
        return self.second(self.first(x)) * self.scale


def gradients(asks, sharded):
    """Of one and the same row on every process."""
    torch.manual_seed(0)
    net = Net()
    if sharded:
        for part in (net.first, net.second, net):
            fully_shard(part)
            part.set_reduce_scatter_unused_params(True)
    net(torch.tensor([[1.0, 2.0]], requires_grad=asks)).sum().backward()
    return {name: p.grad.full_tensor() if sharded else p.grad for name, p in net.named_parameters()}


dist.init_process_group("gloo")
rank = dist.get_rank()
right = gradients(False, sharded=False)
mixed = (right["first.weight"].flatten() + right["scale"]) / 2
found = {who: gradients(rank in who, sharded=True)["first.weight"] for who in ((), (0, 1), (1,))}
if rank == 0:
    print("torch", torch.__version__)
    for who, gradient in found.items():
        told = "as it should be" if torch.allclose(gradient, right["first.weight"]) else "wrong"
        told = "the mean of first's and scale's" if torch.allclose(gradient.flatten(), mixed) else told
        print(f"input asks for a gradient on processes {list(who)}: first's gradient is {told}")
    assert torch.allclose(found[()], right["first.weight"]) and torch.allclose(found[0, 1], right["first.weight"])
    assert torch.allclose(found[1,].flatten(), mixed), "the gradients of two weights are no longer mixed"
dist.destroy_process_group()
PYTHON
OMP_NUM_THREADS=1 timeout 1800 "$folder/venv/bin/python" -m torch.distributed.run --standalone --nproc-per-node 2 "$folder/train.py"
