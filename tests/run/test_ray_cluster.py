"""A Ray cluster of this machine: begun and ended by who asked for it, and one sentence where it does not start."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from tacit.run.ray_cluster import cluster
from tacit.types import InputError


def fake(calls: list[str], starts: bool = True, there: bool = False) -> SimpleNamespace:
    def init(**_: object) -> None:
        calls.append("init")
        if not starts:
            raise Exception("The current node timed out during startup.\nThis could happen")  # as Ray does

    return SimpleNamespace(is_initialized=lambda: there, init=init, shutdown=lambda: calls.append("shutdown"))


@pytest.mark.parametrize(("there", "expected"), [(False, ["init", "inside", "shutdown"]), (True, ["inside"])])
def test_who_begins_a_cluster_ends_it(there: bool, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    calls = list[str]()
    monkeypatch.setitem(sys.modules, "ray", fake(calls, there=there))
    with cluster("--engine ray"):
        calls.append("inside")
    assert calls == expected


def test_one_that_does_not_start_is_told_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = list[str]()
    monkeypatch.setitem(sys.modules, "ray", fake(calls, starts=False))
    with (
        pytest.raises(InputError, match="Ray did not start") as error,
        cluster("--engine ray"),
    ):
        pytest.fail("it is not there")
    assert "(The current node timed out during startup.)" in str(error.value) and "\n" not in str(error.value)
    assert calls == ["init", "shutdown"], "what had started is ended"


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(InputError, match="leave out --engine ray"),
        cluster("--engine ray"),
    ):
        pytest.fail("it is not there")
