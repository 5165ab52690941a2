"""Who asks: a server by a token whose hash is kept, or a browser by a short-lived signed one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from tacit.events.keys import Keys, same
from tacit.run.files import atomic_write, read_json
from tacit.serve.stamp import stamp
from tacit.types import InputError

log = logging.getLogger(__name__)
Scope = Literal["chat", "users", "admin"]
SCOPES: tuple[Scope, ...] = ("chat", "users", "admin")
FORM = "b1."  # of a browser's token
_REMEDY = "put it back from a copy, or make new tokens with `tacit serve RUN --new-token NAME`."


@dataclass(frozen=True)
class Who:
    """``user`` and ``session`` are those a browser's token speaks for; None: a server's, which speaks for anyone."""

    name: str
    scopes: frozenset[str]
    user: str | None = None
    session: str | None = None

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or "admin" in self.scopes


class _Claims(msgspec.Struct):
    u: str
    s: str
    e: int


class Tokens:
    """Those of servers, in a file of names, scopes and SHA-256 hashes: they are random, so a plain hash will do.

    A token that another process makes or removes counts from the next request on.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp = stamp(path)
        self._known = self._read()

    def _read(self) -> list[tuple[str, str, frozenset[str]]]:
        if not self.path.is_file():
            return []
        rows = read_json(self.path, _REMEDY).get("tokens")
        try:
            return [(str(r["name"]), str(r["sha256"]), frozenset(r["scopes"])) for r in rows or []]
        except (TypeError, KeyError):
            raise InputError(f"{self.path} is damaged: {_REMEDY}") from None

    def _refresh(self) -> None:
        """A file that is damaged changes nothing, and is said once."""
        if (now := stamp(self.path)) == self._stamp:
            return
        self._stamp = now
        try:
            self._known = self._read()
        except (InputError, OSError):
            log.warning("%s cannot be read: the tokens known so far hold", self.path.name)

    def make(self, name: str, scopes: frozenset[str]) -> str:
        """A new token, shown this once."""
        self._refresh()
        if unknown := sorted(scopes - set(SCOPES)):
            raise InputError(f"--scope {unknown[0]}: choose chat, users or admin.")
        if any(name == known for known, _, _ in self._known):
            raise InputError(f"a token named {name!r} is there: choose another name, or remove it from {self.path}.")
        token = "tacit-" + secrets.token_urlsafe(32)
        self._known.append((name, _hash(token), scopes))
        rows = [{"name": name, "sha256": digest, "scopes": sorted(may)} for name, digest, may in self._known]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(self.path, json.dumps({"tokens": rows}, indent=1) + "\n")
        self._stamp = stamp(self.path)
        return token

    def who(self, token: str) -> Who | None:
        """Every known hash is compared, each in constant time."""
        self._refresh()
        digest, found = _hash(token), None
        for name, known, scopes in self._known:
            if hmac.compare_digest(digest, known):
                found = Who(name, scopes)
        return found


def browser_token(keys: Keys, user: str, session: str, expires_ms: int) -> str:
    claims = base64.urlsafe_b64encode(msgspec.json.encode(_Claims(user, session, expires_ms))).rstrip(b"=").decode()
    return f"{FORM}{claims}.{keys.mac('browser', claims)}"


def read_browser_token(keys: Keys, token: str, now_ms: int, scopes: frozenset[str]) -> Who | None:
    """None where it is forged or has expired."""
    claims, _, mac = token.removeprefix(FORM).partition(".")
    if not token.startswith(FORM) or not same(mac, keys.mac("browser", claims)):
        return None
    found = msgspec.json.decode(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)), type=_Claims)
    return Who("browser", scopes, found.u, found.s) if now_ms < found.e else None


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
