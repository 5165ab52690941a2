"""Who observes the parts of a log, and where. What is observed is one rule, and every engine makes the same bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal

from tacit.labels.build import Gather, Workers, from_files, one_after_another
from tacit.run.ray_cluster import cluster

Engine = Literal["polars", "duckdb", "ray"]


def observer(engine: Engine) -> Gather:
    """What reads a part: DuckDB where it is asked for; Ray's workers use polars."""
    if engine == "duckdb":
        from tacit.labels import duckdb_gather

        return duckdb_gather.from_files
    return from_files


@contextlib.contextmanager
def workers(engine: Engine) -> Iterator[Workers]:
    """This process; or those of a Ray cluster, the one that RAY_ADDRESS names or one started on this machine.

    Machines of a cluster must see the export and the labels under the same paths.
    """
    if engine != "ray":
        yield one_after_another
        return
    with cluster("--engine"):
        yield _by_ray


def _by_ray(function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> Iterable[Any]:
    """A task each. They end in any order; ``ray.get`` of a list gives the results in the list's."""
    import ray

    task = ray.remote(function)
    return list(ray.get([task.remote(*given) for given in arguments]))
