"""A Ray cluster: the one that RAY_ADDRESS names, or one started on this machine and ended with this process."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from tacit.run.memory import pass_on_want_of_memory
from tacit.types import InputError

U = TypeVar("U")
R = TypeVar("R")


@contextlib.contextmanager
def cluster(asked_by: str) -> Iterator[None]:
    """Connected while inside. ``InputError`` where Ray is not installed."""
    try:
        import ray
    except ImportError:
        raise InputError(f"ray is not installed: pip install 'tacit-rec[ray]', or leave out {asked_by}.") from None
    ours = not ray.is_initialized()
    if ours:
        _begin()
    try:
        yield
    finally:
        if ours:
            ray.shutdown()


def _begin() -> None:
    """``InputError`` where Ray does not start: a machine that is busy otherwise has half a minute for it."""
    import ray

    try:
        ray.init(include_dashboard=False, log_to_driver=False)
    except Exception as error:  # Ray has no class of its own for it
        pass_on_want_of_memory(error)
        ray.shutdown()
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise InputError(
            f"Ray did not start ({first}): end what else keeps this machine busy, or let RAY_ADDRESS name a cluster "
            "that is there, and give the same command again."
        ) from error


class _Actor:
    """``parts`` are made by ``build`` when they are first needed, and brought up to date by ``load``.

    A state travels with every call, and is fetched where it is another: an actor that died and was begun again by Ray
    has none.
    """

    def __init__(self, build: Callable[[], Any], load: Callable[[Any, Any], None]) -> None:
        self._build, self._load = build, load
        self._parts: Any = None
        self._number = 0

    def run(self, function: Callable[[Any, Any], Any], unit: Any, number: int, state: list[Any]) -> Any:
        import ray

        if self._parts is None:
            self._parts = self._build()
        if number != self._number:
            self._load(self._parts, ray.get(state[0]))
            self._number = number
        return function(self._parts, unit)


class Actors:
    """``count`` actors, each with parts of its own, one processor each, and a GPU where ``gpu``."""

    def __init__(
        self, count: int, build: Callable[[], Any], load: Callable[[Any, Any], None], gpu: bool, asked_by: str
    ) -> None:
        import ray

        have = ray.cluster_resources()
        for name, each in {"CPU": 1, "GPU": int(gpu)}.items():
            if have.get(name, 0) < each * count:
                raise InputError(
                    f"{asked_by} asks for {count} workers with a {name} each, and the Ray cluster has "
                    f"{have.get(name, 0):g}: ask for fewer, or start Ray on more machines."
                )
        options = {"num_cpus": 1, "num_gpus": int(gpu), "max_restarts": 3, "max_task_retries": 3}
        self._actors = [ray.remote(_Actor).options(**options).remote(build, load) for _ in range(count)]
        self._number = 0

    def map(self, function: Callable[[Any, U], R], units: Sequence[U], state: Any) -> Iterator[R]:
        """``function(parts, unit)`` of every unit, in the units' order, by actors that have ``state``."""
        import ray
        from ray.util import ActorPool

        self._number += 1
        number, held = self._number, [ray.put(state)]  # in a list: fetched by those who lack it, not with every call
        pool = ActorPool(self._actors)
        try:
            yield from pool.map(lambda actor, unit: actor.run.remote(function, unit, number, held), list(units))
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, InputError):
                raise error.cause from None
            raise
        except ray.exceptions.RayActorError as error:
            raise InputError(
                f"a Ray worker died again and again ({str(error).splitlines()[0]}): see its log, then give the same "
                "command again, and it goes on from the last checkpoint."
            ) from error
