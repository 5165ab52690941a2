"""Two secrets in two files: one makes pseudonyms, one signs exposures. Neither stands in the log.

Whoever destroys the pseudonym key cuts the log from the people in it. One who reads the log alone can neither tell who
a pseudonym is nor forge an exposure.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from tacit.events.schema import Exposure
from tacit.run.files import says_when_unwritable, sync_folder
from tacit.types import InputError

PSEUDONYMS, SIGNATURES = "pseudonyms.key", "signatures.key"
_BYTES = 32


@dataclass(frozen=True)
class Keys:
    """They are never printed."""

    pseudonyms: bytes = field(repr=False)
    signatures: bytes = field(repr=False)

    @classmethod
    def load(cls, folder: str | Path, create: bool = False) -> Keys:
        """The keys in ``folder``; with ``create``, made where they are missing."""
        folder = Path(folder)
        return cls(_key(folder / PSEUDONYMS, create), _key(folder / SIGNATURES, create))

    def pseudonym(self, user_id: str) -> str:
        """32 hexadecimal digits that stand for a user in the log: HMAC-SHA256 of the id, cut to 128 bits."""
        return hmac.new(self.pseudonyms, _framed(["pseudonym", user_id]), hashlib.sha256).hexdigest()[:32]

    def sign(self, exposure: Exposure) -> str:
        """What a client sends back with every event, in 43 characters of base64url.

        It binds who saw which items at which places, in which session, when, and until when it counts.
        """
        return self.mac("exposure", *_signed(exposure))

    def seal(self, exposure: Exposure, consent: str) -> str:
        """Of the whole record, probabilities included, for the log alone: what was changed later shows."""
        return self.mac("seal", consent, msgspec.json.encode(exposure).decode("utf-8"))

    def mac(self, purpose: str, *fields: str) -> str:
        """HMAC-SHA256 of fields, for a purpose alone: also for other tokens of the same server."""
        digest = hmac.new(self.signatures, _framed([purpose, *fields]), hashlib.sha256).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def same(given: str, right: str) -> bool:
    """Compared in constant time."""
    return given.isascii() and hmac.compare_digest(given, right)


def tombstone(pseudonym: str) -> str:
    """What is kept of a deleted user: enough to know the pseudonym again, not to tell it."""
    return hashlib.sha256(_framed(["tombstone", pseudonym])).hexdigest()


def _signed(exposure: Exposure) -> list[str]:
    times = [str(exposure.turn), str(exposure.created_ms), str(exposure.expires_ms)]
    items = [part for shown in exposure.items for part in (shown.item_id, str(shown.position))]
    return [exposure.exposure_id, exposure.session_id, exposure.user, *times, *items]


def _framed(fields: Iterable[str]) -> bytes:
    """Each field after its length, so that no two lists have the same bytes."""
    encoded = (field.encode("utf-8", "surrogatepass") for field in fields)
    return b"".join(len(field).to_bytes(4, "big") + field for field in encoded)


def _key(path: Path, create: bool) -> bytes:
    if create and not path.exists():
        _create(path)
    try:
        mode, text = path.stat().st_mode, path.read_text(encoding="ascii")
        key = bytes.fromhex(text)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: name the folder with the keys of this log.") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): make it readable for this user.") from None
    except ValueError:
        raise InputError(f"{path} is damaged, it holds no key: put the right one back.") from None
    if len(key) != _BYTES:
        raise InputError(
            f"{path} is damaged, its key has {len(key)} bytes in place of {_BYTES}: put the right one back."
        )
    if os.name == "posix" and mode & 0o077:
        raise InputError(f"{path} can be read by others: chmod 600 {path}.")
    return key


def _create(path: Path) -> None:
    """Written in full beside its place, then linked there: of two processes, the second finds the first one's key."""
    with says_when_unwritable(path):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        part = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.part")
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(handle, "w", encoding="ascii") as file:
                file.write(secrets.token_hex(_BYTES) + "\n")
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):
                os.link(part, path)
        finally:
            part.unlink()
        sync_folder(path.parent)
