"""What keeps a server at what its registry says, and moves the registry by what a canary's sessions tell."""

from __future__ import annotations

import asyncio
import logging

from tacit.serve.canary import Look, Watch
from tacit.serve.live import Trying
from tacit.serve.state import State
from tacit.types import InputError

log = logging.getLogger(__name__)
LOOK_S = 0.25  # how often the registry's pointer is looked at


async def follow(state: State) -> None:
    """Serve what another process promoted, tries or took back."""
    while True:
        await asyncio.sleep(LOOK_S)
        if state.live.moved():
            try:
                await asyncio.to_thread(state.live.follow)
            except Exception as error:
                log.warning("the registry's version could not be served: %s", type(error).__name__)


async def watch(state: State) -> None:
    """Every server may do so: the registry lets one of them move it, and the others see that it moved."""
    watching: Watch | None = None
    while True:
        await asyncio.sleep(state.settings.canary.check_s)
        trying = state.live.trying
        if trying is None:
            watching = None
            continue
        try:
            watching = await asyncio.to_thread(_look, state, trying, watching)
        except Exception as error:
            log.warning("the canary could not be looked at: %s", type(error).__name__)


def _look(state: State, trying: Trying, watching: Watch | None) -> Watch:
    canary, config = trying.canary, state.settings.canary
    if watching is None or watching.canary.salt != canary.salt:
        watching = Watch(state.writer.store, canary, state.live.current, config)
    act(state, trying, watching.grown(canary).look(state.writer.now_ms()))
    return watching


def act(state: State, trying: Trying, look: Look) -> None:
    """Move the registry as a look at the canary says."""
    registry, canary = state.live.registry, trying.canary
    try:
        if look.action == "roll back":
            registry.rollback(look.because, "canary", canary, {"look": look.to_json()})
        elif look.action == "grow":
            registry.set_share(canary, state.settings.canary.second_share, look.because, {"look": look.to_json()})
        elif look.action == "promote":
            registry.promote(canary.version, look.because, "canary", canary=canary, details={"look": look.to_json()})
    except InputError as error:  # another server was first
        log.info("the canary was left as it is: %s", error)
        return
    if look.action != "wait":
        log.info("canary %s: %s, %s", canary.version, look.action, look.because)
        state.live.follow()
