"""One flipped byte, one missing file, one damaged manifest: each is refused with the file's name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tacit.run.manifest import FILE, seal, sealed_folder, verify, verify_if_sealed
from tacit.types import InputError


def saved(folder: Path) -> Path:
    with sealed_folder(folder) as part:
        (part / "weights.safetensors").write_bytes(bytes(range(256)))
        (part / "tokenizer").mkdir()
        (part / "tokenizer" / "vocab.json").write_text("{}")
    return folder


def test_what_was_saved_is_accepted_and_more_beside_it(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    verify(folder)
    (folder / "notes.txt").write_text("mine")
    verify(folder)
    assert set(json.loads((folder / FILE).read_text())["files"]) == {"weights.safetensors", "tokenizer/vocab.json"}


@pytest.mark.parametrize("place", [0, 100, 255])
def test_one_flipped_bit_is_refused(tmp_path: Path, place: int) -> None:
    folder = saved(tmp_path / "model")
    content = bytearray((folder / "weights.safetensors").read_bytes())
    content[place] ^= 1
    (folder / "weights.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"weights.safetensors is not the file that was saved.*--no-verify"):
        verify(folder)


def test_missing_and_shortened_files_are_refused(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    (folder / "tokenizer" / "vocab.json").unlink()
    with pytest.raises(InputError, match=r"vocab.json is missing"):
        verify(folder)
    folder = saved(tmp_path / "other")
    (folder / "tokenizer" / "vocab.json").write_text("")
    with pytest.raises(InputError, match=r"vocab.json is not the file"):
        verify(folder)


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 1}', '{"format": 1, "files": {"a": 3}}', "\x00", '{"files": []}']
)
def test_a_damaged_manifest_is_one_sentence(tmp_path: Path, text: str) -> None:
    folder = saved(tmp_path / "model")
    (folder / FILE).write_text(text)
    with pytest.raises(InputError, match=f"{FILE} is damaged"):
        verify(folder)


def test_a_later_format_says_so_and_an_old_folder_has_none(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    (folder / FILE).write_text('{"format": 2, "files": {}}')
    with pytest.raises(InputError, match="format 2"):
        verify(folder)
    (folder / FILE).unlink()
    verify(folder)
    seal(folder)
    verify(folder)


def test_a_folder_of_anybodys_is_held_to_our_manifest_alone(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    verify_if_sealed(folder)
    (folder / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(InputError, match="is not the file that was saved"):
        verify_if_sealed(folder)
    for theirs in ('{"files": ["a.bin"]}', "[]", "", '{"files": {"a": {"size": 3}}}'):
        (folder / FILE).write_text(theirs)
        verify_if_sealed(folder)
    verify_if_sealed("somebody/some-model")
