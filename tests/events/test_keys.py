"""Key files, pseudonyms, signatures, seals."""

from __future__ import annotations

import hashlib
import hmac
import stat
import threading
from pathlib import Path

import pytest
from tiny_log import exposure

from tacit.events.keys import PSEUDONYMS, Keys, same, tombstone
from tacit.events.schema import Shown
from tacit.types import InputError


def test_made_once_for_this_user_alone(tmp_path: Path) -> None:
    keys = Keys.load(tmp_path / "keys", create=True)
    assert keys == Keys.load(tmp_path / "keys")
    assert keys.pseudonyms != keys.signatures and len(keys.pseudonyms) == 32
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "keys").iterdir()} == {0o600}
    assert [path.suffix for path in (tmp_path / "keys").iterdir()] == [".key", ".key"]


def test_of_many_that_make_them_at_once_all_have_the_same(tmp_path: Path) -> None:
    found: list[Keys] = []
    threads = [threading.Thread(target=lambda: found.append(Keys.load(tmp_path, create=True))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8 and all(keys == found[0] for keys in found)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: path.unlink(), "does not exist"),
        (lambda path: path.write_text("zz"), "damaged"),
        (lambda path: path.write_text("abcd"), "2 bytes"),
        (lambda path: path.chmod(0o644), "chmod 600"),
    ],
)
def test_a_bad_key_file_is_refused(tmp_path: Path, spoil: object, reason: str) -> None:
    Keys.load(tmp_path, create=True)
    spoil(tmp_path / PSEUDONYMS)  # type: ignore[operator]
    with pytest.raises(InputError, match=reason):
        Keys.load(tmp_path)


def test_a_pseudonym_by_hand() -> None:
    keys = Keys(b"p" * 32, b"s" * 32)
    framed = b"\x00\x00\x00\x09pseudonym" + b"\x00\x00\x00\x04jane"
    assert keys.pseudonym("jane") == hmac.new(b"p" * 32, framed, hashlib.sha256).hexdigest()[:32]
    assert keys.pseudonym("jane") != Keys(b"q" * 32, b"s" * 32).pseudonym("jane")
    assert "jane" not in tombstone(keys.pseudonym("jane")) and "70707070" not in repr(keys)


def test_a_signature_binds_who_saw_what_where_and_when() -> None:
    keys = Keys(b"p" * 32, b"s" * 32)
    right = keys.sign(exposure())
    assert len(right) == 43 and same(keys.sign(exposure()), right)
    swapped = (Shown("a", 2, 0.5), Shown("b", 1, 0.25))
    changes = [
        {"user": "u2"}, {"session_id": "s2"}, {"turn": 1}, {"created_ms": 1}, {"expires_ms": 1},
        {"items": swapped}, {"items": swapped[::-1]}, {"items": (Shown("a", 1, 0.5),)},
    ]  # fmt: skip
    assert all(not same(keys.sign(exposure(**change)), right) for change in changes)
    assert not same(Keys(b"p" * 32, b"t" * 32).sign(exposure()), right)
    assert not same("", right) and not same("é" * 43, right) and not same("\ud800", right)


def test_no_two_slates_share_their_bytes() -> None:
    """Joined without lengths, ("ab", 1) and ("a", "b1"...) could be one string."""
    keys = Keys(b"p" * 32, b"s" * 32)
    one = exposure(items=(Shown("a1", 1, 0.5), Shown("b", 2, 0.5)))
    other = exposure(items=(Shown("a", 11, 0.5), Shown("b", 2, 0.5)))
    assert keys.sign(one) != keys.sign(other)


def test_a_seal_covers_the_probabilities() -> None:
    keys = Keys(b"p" * 32, b"s" * 32)
    changed = exposure(items=(Shown("a", 1, 0.5), Shown("b", 2, 0.2500000000000001)))
    assert keys.sign(changed) == keys.sign(exposure())  # the client never sees them
    assert keys.seal(changed, "train") != keys.seal(exposure(), "train")
    assert keys.seal(exposure(), "store") != keys.seal(exposure(), "train")
