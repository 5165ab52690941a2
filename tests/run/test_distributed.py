"""Two processes of one run: what each does, what is added up, and what becomes of one whose neighbour dies."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from together import together

from tacit.run import distributed
from tacit.run.distributed import dealt, from_writer, gathered, is_writer, rank, spread, sum_gradients, summed
from tacit.run.folder import Stage
from tacit.types import InputError


def test_alone_everything_is_as_if_there_were_no_processes() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(2))], lr=1.0)
    sum_gradients(optimizer)
    assert optimizer.param_groups[0]["params"][0].grad is None
    assert list(spread(abs, [-1, 2])) == [1, 2] and gathered(3) == [3] and from_writer(lambda: 4) == 4
    assert summed({"a": 1.0}) == {"a": 1.0} and is_writer() and distributed.first_to_tell()


@pytest.mark.parametrize(
    ("processes", "most", "pieces"),
    [
        (1, 2, [[(0, "ab"), (1, "cd"), (2, "e")]]),
        (2, 2, [[(0, "ab"), (2, "e")], [(1, "cd")]]),  # the same pieces, dealt out
        (2, 5, [[(0, "abc")], [(1, "de")]]),  # one piece would leave a process idle
        (6, 5, [[(k, letter)] for k, letter in enumerate("abcde")] + [[]]),
    ],
)
def test_pieces_are_dealt_by_their_place_in_the_batch(
    processes: int, most: int, pieces: list[list[tuple[int, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(processes):
        monkeypatch.setattr(distributed, "_world", distributed._World(number, processes))
        assert dealt("abcde", most) == pieces[number]


def both(folder: Path) -> None:
    """Weights a and b have a gradient in one process or in both, c in none; then everything else that they tell."""
    a, b, c = (torch.nn.Parameter(torch.zeros(2, 2)) for _ in "abc")
    a.grad = torch.full((2, 2), 1.0 + rank())
    b.grad = torch.full((2, 2), 5.0) if rank() else None
    sum_gradients(torch.optim.SGD([a, b, c], lr=1.0))
    assert c.grad is None and a.grad.tolist() == [[3.0, 3.0]] * 2 and b.grad is not None
    with distributed.alone():
        assert distributed.size() == 1 and gathered("own") == ["own"]
    assert sum(gathered(distributed.first_to_tell())) == 1
    there = folder / "there"
    with distributed.writer_first():
        assert there.exists() != is_writer()
        there.touch()
    Stage("s", folder).log.append(1, loss=0.5)  # one line, not two
    Stage("s", folder).finish({"by": rank()})
    found = {
        "b": b.grad.tolist(),
        "spread": list(spread(lambda unit: (unit, rank()), "abc")),
        "summed": summed({"x": 1.0 + rank(), "worst": rank()} if rank() else {"x": 1.0}, largest=("worst",)),
        "writer": from_writer(rank),
    }
    weights = torch.full((2,), float(rank()))
    distributed.as_writer_has([weights])
    assert weights.tolist() == [0.0, 0.0]
    (folder / f"{rank()}.json").write_text(json.dumps(found))


def test_what_two_processes_tell_each_other(tmp_path: Path) -> None:
    assert together(both, tmp_path) == [0, 0]
    one, two = (json.loads((tmp_path / f"{number}.json").read_text()) for number in range(2))
    assert (
        one
        == two
        == {
            "b": [[5.0, 5.0], [5.0, 5.0]],
            "spread": [["a", 0], ["b", 1], ["c", 0]],
            "summed": {"x": 3.0, "worst": 1.0},
            "writer": 0,
        }
    )
    stage = Stage("s", tmp_path)
    assert stage.log.rows() == [{"step": 1, "loss": 0.5}] and stage.summary() == {"by": 0}


def one_dies(folder: Path) -> None:
    distributed.barrier()
    if rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        distributed.barrier()
    except InputError as error:
        (folder / "said").write_text(f"{error}")
        raise


def test_a_killed_process_ends_the_other_with_a_sentence(tmp_path: Path) -> None:
    assert together(one_dies, tmp_path) == [2, -signal.SIGKILL]
    said = (tmp_path / "said").read_text()
    assert "have lost each other" in said and "goes on from the last checkpoint" in said and "\n" not in said


def test_what_one_process_does_is_refused_to_several(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed.refuse_many("serving")
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="serving is the work of one process: start it without torchrun"):
        distributed.refuse_many("serving")
