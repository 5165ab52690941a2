"""Several processes of one run, as ``torchrun`` starts them: each does its share of every batch, and one writes.

All hold the same weights, or parts of them (``text.sharding``). A batch is cut by the place of its rows, its random
numbers go by that place too, and its losses are divided by the *whole* batch's counts, so that gradients need only be
added up: however many processes there are, the sums are the same but for the order of adding. They are plain
all-reduces: DDP's hooks sit on a module's ``forward``, and a policy is scored, and its parts are used, by other
functions.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.optim import Optimizer

from tacit.run.memory import pass_on_want_of_memory
from tacit.types import InputError

T = TypeVar("T")
U = TypeVar("U")
R = TypeVar("R")

# The others wait through whole stages that one process does alone. Who dies is noticed at once, by its closed sockets.
PATIENCE = timedelta(days=2)
BUCKET = 2**24  # numbers that are added up at once: 64 MB in float32


@dataclass(frozen=True)
class _World:
    rank: int = 0
    size: int = 1


_world = _World()


def rank() -> int:
    return _world.rank


def size() -> int:
    return _world.size


def is_writer() -> bool:
    """Whether this process writes the run's files; alone it does."""
    return _world.rank == 0


def started() -> int:
    """How many processes ``torchrun`` has started, this one included; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys() else 1


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Work together with the processes that ``torchrun`` has started; of those, one is heard. Alone nothing changes."""
    global _world
    if started() == 1 or size() > 1:
        yield
        return
    with _collective():
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=PATIENCE)
    _world = _World(dist.get_rank(), dist.get_world_size())
    try:
        with contextlib.nullcontext() if is_writer() else _silence():
            yield
    except RuntimeError as error:  # in a pass through a model that is held in parts: FSDP2 does the talking there
        if not (isinstance(error, dist.DistError) or "gloo" in str(error)):
            raise
        raise _lost(error) from error
    finally:
        _world = _World()
    dist.destroy_process_group()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        logging.disable(logging.CRITICAL)
        try:
            with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
                yield
        finally:
            logging.disable(logging.NOTSET)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """What is done inside is this process's own matter: the others wait elsewhere."""
    global _world
    before, _world = _world, _World()
    try:
        yield
    finally:
        _world = before


@contextlib.contextmanager
def _collective() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        pass_on_want_of_memory(error)
        raise _lost(error) from error


def _lost(error: RuntimeError) -> InputError:
    return InputError(
        f"the processes of this run have lost each other ({str(error).strip().splitlines()[0]}): when one ends, "
        "all do; give the same command again, and it goes on from the last checkpoint."
    )


def first_to_tell() -> bool:
    """Whether no other process of this run has yet said why it ends: one sentence for all. Alone always."""
    if started() == 1:
        return True
    me, key = os.environ["RANK"], f"tacit/told/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    try:
        place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        store = dist.TCPStore(  # type: ignore[attr-defined]
            *place, is_master=False, timeout=timedelta(seconds=5)
        )
        return store.compare_set(key, "", me).decode() == me
    except (KeyError, ValueError, RuntimeError):  # whoever kept the list is gone
        return True


def refuse_many(what: str) -> None:
    """``InputError`` where ``torchrun`` has started several processes for something that one does."""
    if started() > 1:
        raise InputError(f"{what} is the work of one process: start it without torchrun.")


def gathered(value: T) -> list[T]:
    """Everybody's ``value``, by rank. They must not hold tensors of a GPU."""
    if size() == 1:
        return [value]
    found: list[Any] = [None] * size()
    with _collective():
        dist.all_gather_object(found, value)
    return found


def barrier() -> None:
    """Wait until all are here."""
    gathered(None)


def from_writer(compute: Callable[[], T]) -> T:
    """What ``compute`` gives the writer, for all: one decision, or work that is not worth sharing."""
    if size() == 1:
        return compute()
    box: list[Any] = [None]
    if is_writer():
        with alone():
            box = [compute()]
    with _collective():
        dist.broadcast_object_list(box, src=0)
    return box[0]  # type: ignore[no-any-return]


@contextlib.contextmanager
def writer_first() -> Iterator[None]:
    """The writer does what is inside before the others do: they find what it has left in files."""
    if not is_writer():
        barrier()
    yield
    if is_writer():
        barrier()


def spread(function: Callable[[U], R], units: Sequence[U]) -> Iterator[R]:
    """``function`` of every unit, in order, for all processes; each does every ``size``-th."""
    for start in range(0, len(units), size()):
        mine = start + rank()
        value = function(units[mine]) if mine < len(units) else None
        yield from gathered(value)[: len(units) - start]  # type: ignore[misc]


def spread_tensors(function: Callable[[U], R], units: Sequence[U], device: torch.device) -> Iterator[R]:
    """``spread`` where the results are dataclasses of tensors, which are to be on ``device``."""
    if size() == 1:
        yield from map(function, units)
        return
    for record in spread(lambda unit: _moved(function(unit), torch.device("cpu")), units):
        yield _moved(record, device)


def _moved(record: Any, device: torch.device) -> Any:
    return type(record)(**{field.name: getattr(record, field.name).to(device) for field in fields(record)})


def dealt(rows: Sequence[T], most: int) -> list[tuple[int, Sequence[T]]]:
    """(number, rows) of the pieces of a batch that this process does, ``most`` rows in each; fewer where a process
    would have none. Pieces are numbered through the whole batch."""
    each = _each(len(rows), most)
    pieces = [rows[start : start + each] for start in range(0, len(rows), each)]
    return list(enumerate(pieces))[rank() :: size()]


def _each(count: int, most: int) -> int:
    """Rows of a piece."""
    return max(1, min(most, -(-count // size())))


def idle_turns(count: int, most: int) -> int:
    """How many pieces of a batch of ``count`` rows another process was ``dealt`` beyond this one's."""
    pieces = -(-count // _each(count, most))
    return -(-pieces // size()) - len(range(rank(), pieces, size()))


def added_up(tensor: Tensor) -> Tensor:
    """The sum of everybody's, in place."""
    if size() > 1:
        with _collective():
            dist.all_reduce(tensor)
    return tensor


def sum_gradients(optimizer: Optimizer) -> None:
    """Every process's gradients become the sum over all; what none has stays ``None``, and is not stepped along. Those
    of weights that are held in parts are sums already. Sparse ones (``text.bert_rows``) become dense, as a step takes
    them."""
    every = [p for group in optimizer.param_groups for p in group["params"]]
    for parameter in every:
        if parameter.grad is not None and parameter.grad.is_sparse:
            parameter.grad = parameter.grad.to_dense()
    if size() == 1:
        return
    parameters = [p for p in every if not isinstance(p, DTensor)]
    there = torch.tensor([p.grad is not None for p in parameters], dtype=torch.int32)
    with _collective():
        dist.all_reduce(there, dist.ReduceOp.MAX)
        held = [p for p, found in zip(parameters, there.tolist(), strict=True) if found]
        for parameter in held:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        for bucket in _buckets([parameter.grad for parameter in held]):
            flat = torch.cat([gradient.reshape(-1) for gradient in bucket])
            dist.all_reduce(flat)
            for gradient, part in zip(bucket, flat.split([g.numel() for g in bucket]), strict=True):
                gradient.copy_(part.view_as(gradient))


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """The same in lists of about ``BUCKET`` numbers, each on one device and of one type."""
    bucket: list[Tensor] = []
    for tensor in tensors:
        kinds = [(other.device, other.dtype) for other in bucket[:1]]
        full = sum(other.numel() for other in bucket) + tensor.numel() > BUCKET
        if bucket and (full or kinds != [(tensor.device, tensor.dtype)]):
            yield bucket
            bucket = []
        bucket.append(tensor)
    if bucket:
        yield bucket


def summed(stats: Mapping[str, float], largest: Collection[str] = ()) -> dict[str, float]:
    """Numbers of all processes added up, name by name; of those in ``largest`` the largest."""
    totals: dict[str, float] = {}
    for part in gathered(dict(stats)):
        for name, value in part.items():
            before = totals.get(name, 0.0)
            totals[name] = max(before, value) if name in largest else before + value
    return totals


@torch.no_grad()
def as_writer_has(tensors: Iterable[Tensor]) -> None:
    """Put the writer's numbers into everybody's tensors, in place."""
    if size() == 1:
        return
    with _collective():
        for tensor in tensors:
            dist.broadcast(tensor, src=0)
