"""Served to some, or to all, by force, and taken back: what the registry and the server do while people talk."""

from __future__ import annotations

import threading
import time
from collections import Counter

import httpx

from tacit.pipelines.loop.place import Loop, Told, people
from tacit.serve.registry import Registry
from tacit.types import InputError


def canary(loop: Loop, name: str, version: str, force: str) -> Told:
    """A canary, with people talking, until the server has promoted it or taken it back."""
    config = loop.config.canary
    as_before(loop.registry, version)
    loop.registry.begin_canary(version, config.first_share, f"{name} of the loop", force=force)
    visits = list[Told]()
    for batch in range(loop.config.canary_visits):
        visits.append(people(loop, loop.config.sessions, f"{name}-canary", batch))
        time.sleep(config.window_s + 2 * config.check_s)
        if loop.registry.pointer().canary is None:
            break
    ended = ""
    if loop.registry.pointer().canary is not None:
        ended = "still running: taken back by the operator"
        loop.registry.rollback("live signals have told nothing yet, and the loop goes on")
    row = loop.registry.audit.rows()[-1]
    return {
        "version": version,
        "ended": ended or row.what,
        "why": row.why,
        "look": row.details.get("look"),
        "current": loop.current,
        "visits": visits,
    }


def take_back(loop: Loop, version: str) -> Told:
    """Promoted by force, then rolled back: seconds until the server follows, and by what people were answered."""
    as_before(loop.registry, version)  # live signals may have let it pass
    before = loop.current
    loop.registry.promote(version, force="to show a rollback")
    _wait_for(loop, version)
    visits = list[Told]()
    talking = threading.Thread(target=lambda: visits.append(people(loop, loop.config.sessions, "rollback")))
    talking.start()
    time.sleep(1.0)
    asked = time.monotonic()
    loop.registry.rollback("the loop shows a rollback")
    _wait_for(loop, before)
    took_s = time.monotonic() - asked
    talking.join()
    late = people(loop, 20, "after-rollback")
    return {
        "seconds": took_s,
        "back_to": before,
        "answers_by_version": dict(Counter(one for answered in visits[0]["versions"] for one in answered)),
        "afterwards": dict(Counter(one for answered in late["versions"] for one in answered)),
    }


def as_before(registry: Registry, version: str) -> None:
    """As if the version had never been tried: what a killed trial left is taken back."""
    if registry.pointer().canary is not None:
        registry.rollback("a trial that was broken off begins anew")
    if registry.current() == version:
        registry.rollback("the loop goes on without it")


def _wait_for(loop: Loop, version: str) -> None:
    """Until the server says that it serves this version."""
    with httpx.Client(base_url=loop.base, trust_env=False, timeout=60) as http:
        token = http.get("/v1/session").json()["token"]
        end = time.monotonic() + 60
        while time.monotonic() < end:
            answer = http.get("/v1/models", headers={"Authorization": f"Bearer {token}"})
            if answer.status_code == 200 and answer.json()["data"][0]["policy_version"] == version:
                return
            time.sleep(0.05)
    raise InputError(f"The server did not follow the registry to {version}: {loop.folder / 'serve.log'} says why.")
