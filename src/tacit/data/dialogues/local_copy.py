"""Copies of published data sets: which files make one up, and whether a file is what its name says."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from tacit.data.dialogues import opendialkg, opendialkg_csv, redial
from tacit.data.lines import decode, find, lines
from tacit.run.memory import pass_on_want_of_memory
from tacit.types import InputError

# (one of each of these names, and any of those), by data set: the forms that the loaders read
_Form = tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]
FORMS: dict[str, tuple[_Form, ...]] = {
    "redial": (((redial.TRAIN, redial.TEST), ("movies_with_mentions.csv", "id2info.json")),),
    "opendialkg": (
        (
            ((opendialkg.TRAIN,), (opendialkg.TEST,), ("id2info.json",)),
            (opendialkg.VALID, "item_ids.json", "entity2id.json"),
        ),
        (
            ((opendialkg_csv.NAME,),),
            (opendialkg_csv.TRIPLES, "opendialkg_entities.txt", "opendialkg_relations.txt"),
        ),
    ),
    "ml-1m": (
        (
            (("ratings.dat", "ratings_ordered.csv"), ("users.dat",), ("movies.dat",)),
            ("llm_item_descriptions_colakg.json",),
        ),
    ),
    "ml-100k": (((("u.data",), ("u.item",), ("u.user",)), ()),),
}
_PACKED_DAMAGE = (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError, ValueError)


def local_files(name: str, local: Path) -> list[Path]:
    """The files of a copy of data set ``name``, in the first form that is complete; a zip is one file."""
    if not local.exists():
        raise InputError(f"--from {local} does not exist: give the {name} folder, or its zip.")
    place = local if local.is_dir() or local.suffix == ".zip" else local.parent
    if place.suffix == ".zip":
        look_into(place)
    for required, optional in FORMS[name]:
        found = [find(place, names) for names in required]
        if all(found):
            more = [find(place, (other,)) for other in optional]
            return list(dict.fromkeys(_container(path) for path in (*found, *more) if path is not None))
    names = "; or ".join(", ".join(" or ".join(one) for one in required) for required, _ in FORMS[name])
    raise InputError(f"--from {local} has no {name} data: it needs {names} (plain, .gz or in a .zip).")


def look_into(path: Path, name: str = "") -> None:
    """InputError where a file's content is not what its name (``name``, else its own) says: a web page, damage."""
    name = (name or path.name).removesuffix(".gz")
    if name.endswith(".zip"):
        _look_into_zip(path)
        return
    first = next(_first_lines(path), b"").lstrip(b"\xef\xbb\xbf \t").lower()
    if not first:
        raise InputError(f"{path} is empty: fetch it again.")
    if first.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise InputError(f"{path} is a web page in place of {name}: fetch it again, and look at it in a browser.")
    if name == opendialkg_csv.NAME and b"messages" not in first:
        raise InputError(f"{path} lacks the column Messages: fetch the official {name}.")
    if name.endswith(".jsonl"):
        try:
            decode(next(_first_lines(path)))
        except ValueError as error:
            raise InputError(f"{path}:1: {error}: fetch it again.") from None


def _look_into_zip(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
    except _PACKED_DAMAGE as error:
        pass_on_want_of_memory(error)
        raise InputError(f"{path} is not a readable zip file ({error}): fetch it again.") from None
    if damaged:
        raise InputError(f"{path} is damaged at {damaged}: fetch it again.")


def _first_lines(path: Path) -> Iterator[bytes]:
    return (raw for _, raw in lines(path))


def _container(path: Path) -> Path:
    """The zip that a found file lies in, or the file itself."""
    return next((parent for parent in path.parents if parent.suffix == ".zip" and parent.is_file()), path)
