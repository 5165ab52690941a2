#!/usr/bin/env bash
# torch 2.13.0, FSDP2 (fully_shard): state_dict() changes the model that it reads. Weights that were brought together, by unshard()
# or by a forward pass under reshard_after_forward=False (where they are to stay whole until the backward pass), are in parts
# afterwards: every parameter of the module is another object, a DTensor. named_parameters(), which reads the same weights, leaves
# them whole. Who saves between two uses of whole weights (a checkpoint in the midst of generation, say) pays for bringing them
# together once more, and a reference to a whole weight that was taken before points at storage that is freed.
#
#     after unshard()                       Parameter   named_parameters() Parameter   state_dict() DTensor
#     after forward, not resharded          Parameter   named_parameters() Parameter   state_dict() DTensor
#     bytes of a whole weight taken before  256         named_parameters() 256         state_dict() 0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.13.0 numpy==2.4.6
cat > "$folder/read.py" <<'PYTHON'
import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

dist.init_process_group("gloo")
mesh = init_device_mesh("cpu", (dist.get_world_size(),))


def model():
    net = nn.Sequential(nn.Linear(8, 8, bias=False), nn.Linear(8, 8, bias=False))
    for part in (*net, net):
        fully_shard(part, mesh=mesh, reshard_after_forward=False)
    return net


def by_unshard(net):
    for part in (*net, net):
        part.unshard()


def by_forward(net):
    with torch.no_grad():
        net(torch.ones(1, 8))


def state(net):
    return "parts" if all(isinstance(weight, DTensor) for weight in (net[0].weight, net[1].weight)) else "whole"


readers = {
    "named_parameters": (lambda net: dict(net.named_parameters()), ("whole", 256)),
    "state_dict": (lambda net: net.state_dict(), ("parts", 0)),
}
for bring in (by_unshard, by_forward):
    for name, (read, expected) in readers.items():
        net = model()
        assert state(net) == "parts"
        bring(net)
        assert state(net) == "whole"
        taken = net[0].weight
        read(net)
        seen = state(net), taken.untyped_storage().nbytes()
        print(f"torch {torch.__version__}, {bring.__name__}, then {name}(): weights {seen[0]}, bytes of one taken before {seen[1]}")
        assert seen == expected, f"{name}() leaves the weights {seen} now"
dist.destroy_process_group()
PYTHON
OMP_NUM_THREADS=1 timeout 1800 "$folder/venv/bin/python" -m torch.distributed.run --standalone --nproc-per-node 1 "$folder/read.py"
