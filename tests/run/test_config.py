from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from tacit.run.config import check_types, differences, dump, keys, load, stated
from tacit.types import InputError


@dataclass
class Inner:
    lr: float = 1e-3
    window: int = 8
    weights: list[float] = field(default_factory=lambda: [0.5, 0.5])
    base: str = "small"
    frozen: bool = True


@dataclass
class Settings:
    policy: Inner = field(default_factory=Inner)
    ppo: Inner = field(default_factory=lambda: Inner(lr=5e-6))
    seed: int = 0


def write(folder: Path, text: str, name: str = "c.yaml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_then_file_then_overrides(tmp_path: Path) -> None:
    path = write(tmp_path, "policy:\n  window: 4\n  lr: 5e-6\nseed: 3\n")
    config = load(Settings, path, ["seed=4", "policy.weights=[1, 2.5]", "policy.frozen=false", "ppo.lr=1e-5"])
    assert (config.policy.window, config.policy.lr, config.seed) == (4, 5e-6, 4)
    assert config.policy.weights == [1.0, 2.5]
    assert config.policy.frozen is False
    assert config.ppo.lr == 1e-5 and isinstance(config.ppo.lr, float)
    assert isinstance(config.policy, Inner)


def test_further_files_stand_among_the_overrides(tmp_path: Path) -> None:
    first = write(tmp_path, "policy: {window: 4, lr: 1}\n")
    further = str(write(tmp_path, "policy: {window: 6}\n", "more.yaml"))
    assert load(Settings, first, [further]).policy == Inner(window=6, lr=1.0)
    assert load(Settings, first, ["policy.window=5", further]).policy.window == 6
    assert load(Settings, first, [further, "policy.window=5"]).policy.window == 5
    with pytest.raises(InputError, match="no such config file"):
        load(Settings, first, ["gone.yaml"])


def test_what_is_stated_of_a_key_before_its_class_is_known(tmp_path: Path) -> None:
    write(tmp_path, "kind: a\nseed: 1\n", "base.yaml")
    heir = write(tmp_path, "defaults: base.yaml\nunknown: 3\n")
    assert stated("kind", heir) == "a" and stated("seed", heir, ["seed=2"]) == 2 and stated("nothing", heir) is None
    assert stated("kind", heir, [str(write(tmp_path, "kind: b\n", "more.yaml"))]) == "b"
    with pytest.raises(InputError, match="no such config file"):
        stated("kind", tmp_path / "gone.yaml")


def test_no_file_gives_the_defaults_and_they_are_not_shared() -> None:
    first = load(Settings, None)
    first.policy.weights.append(9.0)
    assert load(Settings, None) == Settings()


def test_dump_and_load_are_inverse(tmp_path: Path) -> None:
    config = load(Settings, None, ["ppo.lr=5e-6", "policy.base='a: b'"])
    assert load(Settings, write(tmp_path, dump(config))) == config


def test_includes_come_first_and_nest(tmp_path: Path) -> None:
    write(tmp_path, "seed: 1\npolicy: {window: 2, base: a}\n", "base.yaml")
    write(tmp_path, "defaults: base.yaml\npolicy: {base: b}\n", "middle.yaml")
    (tmp_path / "sub").mkdir()
    top = write(tmp_path / "sub", "defaults: [../middle.yaml]\nppo: {window: 6}\n", "top.yaml")
    config = load(Settings, top)
    assert (config.seed, config.policy.window, config.policy.base, config.ppo.window) == (1, 2, "b", 6)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("policy:\n  windw: 3\n", ["c.yaml", "'policy.windw'", "'policy.window'"]),
        ("window: 3\n", ["'window'", "'policy.window'"]),
        ("sed: 3\n", ["'sed'", "'seed'"]),
        ("seed: many\n", ["c.yaml", "'seed'", "whole number", "'many'"]),
        ("seed: 1.5\n", ["'seed'", "whole number"]),
        ("policy: {lr: fast}\n", ["'policy.lr'", "a number", "'fast'"]),
        ("policy: {weights: [1, x]}\n", ["policy.weights", "list of float"]),
        ("policy: {lr: {a: 1}}\n", ["policy.lr"]),
        ("policy: 3\n", ["'policy'", "section"]),
        ("seed: null\n", ["'seed'"]),
        ("seed: [1\n", ["c.yaml line", "YAML"]),
        ("word\n", ["top level"]),
        ("- a\n- b\n", ["top level"]),
        ("defaults: nowhere.yaml\n", ["nowhere.yaml", "no such"]),
        ("defaults: c.yaml\n", ["circle"]),
        ("seed: ${nowhere}\n", ["nowhere"]),
    ],
)
def test_bad_files_name_the_key_and_the_remedy(tmp_path: Path, text: str, said: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        load(Settings, write(tmp_path, text))
    message = str(caught.value)
    assert all(part in message for part in said), message
    assert "\n" not in message


@pytest.mark.parametrize("override", ["seed", "=3", "policy..lr=3", "policy.nothing=3", "seed=x", "policy=3"])
def test_bad_overrides_are_named(override: str) -> None:
    with pytest.raises(InputError, match=re.escape(override.split("=3")[0] or override)):
        load(Settings, None, [override])


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such config file"):
        load(Settings, tmp_path / "gone.yaml")
    with pytest.raises(InputError, match=r"is a folder without config\.yaml, so no run: give a run folder or a YAML"):
        load(Settings, tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"policy: {base: caf\xe9}\n")
    with pytest.raises(InputError, match="not UTF-8 at byte 18"):
        load(Settings, tmp_path / "latin.yaml")
    assert load(Settings, write(tmp_path, "# nothing but a comment\n")) == Settings()


def test_a_value_a_section_requires_is_asked_for() -> None:
    from omegaconf import MISSING

    @dataclass
    class Needs:
        path: str = MISSING

    with pytest.raises(InputError, match="'path' has no value"):
        load(Needs, None)


def test_keys_and_differences() -> None:
    assert keys(Settings)[:3] == ["policy", "policy.lr", "policy.window"]
    other = Settings(policy=Inner(window=2), seed=1)
    assert differences(dump(Settings()), dump(other)) == {"policy.window": (8, 2), "seed": (0, 1)}


@dataclass
class Choices:
    way: Literal["short", "long"] = "short"
    ways: list[Literal["short", "long"]] = field(default_factory=lambda: ["long"])


@dataclass
class WithChoices:
    trip: Choices = field(default_factory=Choices)


def test_a_choice_is_checked_where_it_is_read(tmp_path: Path) -> None:
    """The key, what is allowed, what was given; from a file, an override, or Python."""
    assert load(WithChoices, None, ["trip.way=long", "trip.ways=[short]"]).trip == Choices("long", ["short"])
    path = write(tmp_path, "trip: {way: far}\n")
    with pytest.raises(InputError, match=r"c\.yaml: 'trip\.way' must be one of short, long, not 'far'"):
        load(WithChoices, path)
    with pytest.raises(InputError, match=r"override 'trip\.ways=\[far\]': .* must be a list of one of short, long"):
        load(WithChoices, None, ["trip.ways=[far]"])
    check_types(WithChoices())
    with pytest.raises(InputError, match=r"trip\.way must be one of short, long, not 'far'"):
        check_types(WithChoices(Choices(way="far")))  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"trip\.ways\[1\] must be a list of one of short, long"):
        check_types(WithChoices(Choices(ways=["short", "far"])))  # type: ignore[list-item]
