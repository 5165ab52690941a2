"""Every setting of both kinds of run: numbers have limits, choices a type, and what lies beyond is refused at load."""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tacit import pipelines
from tacit.pipelines import RerankConfig, RunConfig
from tacit.pipelines.loop.settings import LoopConfig
from tacit.pipelines.outcomes.config import OutcomesRunConfig
from tacit.run.config import load
from tacit.run.limits import Limits, broken, numbers
from tacit.types import InputError

CONFIGS = sorted((Path(__file__).parents[2] / "configs").rglob("*.yaml"))
LATER = ("on-cpu.yaml", "smoke.yaml")  # they stand after another config
TREES = (RunConfig, RerankConfig)


def every_number() -> Iterator[tuple[type, str, Limits | None, bool, bool]]:
    """(tree, key, limits, whether whole, whether a list)."""
    for tree in TREES:
        for key, limits in numbers(tree):
            kind = _kind(tree, key)
            kinds = {kind, *typing.get_args(kind)}
            yield tree, key, limits, int in kinds, typing.get_origin(kind) in (list, dict)


def _kind(tree: Any, key: str) -> Any:
    for part in key.split("."):
        tree = typing.get_type_hints(tree)[part]
    return tree


def beyond(limits: Limits) -> list[str]:
    """What no one means, and the first numbers outside of ``limits``."""
    values = ["nan", "inf", "-inf", "1e308", "-1e308", "1.0e10", "-1.0e10"]
    values += ["0"] if not limits.hold(0.0) else []
    values += ["-1"] if not limits.hold(-1.0) else []
    values += ["2"] if not limits.hold(2.0) else []
    return values


def refused(tree: type, override: str) -> str:
    with pytest.raises(InputError) as error:
        load(tree, None, [override])
    return str(error.value)


def with_value(tree: Any, key: str, value: object) -> Any:
    config = tree()
    *sections, name = key.split(".")
    setattr(functools.reduce(getattr, sections, config), name, value)
    return config


def several(tree: Any, key: str, value: object) -> object:
    return {"label": value} if typing.get_origin(_kind(tree, key)) is dict else [value]


def test_no_number_is_without_limits() -> None:
    trees = (*TREES, LoopConfig)  # with those of learning and labelling
    forgotten = [f"{tree.__name__}: {key}" for tree in trees for key, limits in numbers(tree) if limits is None]
    assert not forgotten, f"give these limits (tacit.run.limits): {forgotten}"


def test_a_number_beyond_its_limits_is_named_by_its_key() -> None:
    """What ``load`` refuses; that it does is tested below on some of them, since reading settings takes time."""
    tried = 0
    for tree, key, limits, _, listed in every_number():
        assert limits is not None
        for value in map(float, beyond(limits)):
            wrong = {key for key, _, _ in broken(with_value(tree, key, several(tree, key, value) if listed else value))}
            assert key in wrong, f"{key}={value}"
            tried += 1
    assert tried > 1000


@pytest.mark.parametrize(
    ("tree", "key", "limits", "listed"),
    [(tree, key, limits, listed) for tree, key, limits, _, listed in list(every_number())[::24]],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_loading_refuses_it_with_key_and_remedy(tree: type, key: str, limits: Limits, listed: bool) -> None:
    for value in beyond(limits):
        override = f"{key}={several(tree, key, value)}" if listed else f"{key}={value}"
        message = refused(tree, override)
        assert f"'{key}" in message and "must be" in message and "change the value" in message, override


def test_what_the_limits_allow_is_taken() -> None:
    """The ends of each range, one at a time; what settings ask of each other is another matter."""
    for tree, key, limits, whole, listed in every_number():
        assert limits is not None
        if listed:
            continue
        for end in (limits.low, limits.high):
            nearer = end if not (limits.open and end == limits.low) else end + 1e-3
            value = int(nearer) if whole else nearer
            assert not [
                name for name, _, asked in broken(with_value(tree, key, value)) if asked == limits.allowed(value)
            ]


def test_no_limit_lets_a_number_overflow_when_it_is_squared() -> None:
    for _, key, limits, _, _ in every_number():
        assert limits is not None and math.isfinite(limits.low**2 * limits.high**2), key


def test_one_who_passes_the_usual_high_end_is_told_it() -> None:
    assert "'sft.epochs' must be at least 1, not 0" in refused(RunConfig, "sft.epochs=0")
    assert "'sft.epochs' must be between 1 and 1e+09, not 10000000000" in refused(RunConfig, "sft.epochs=10000000000")
    assert "'ppo.slate_lr' must be between 0 and 1, not 2.0" in refused(RunConfig, "ppo.slate_lr=2")


def choices(tree: Any, prefix: str = "") -> Iterator[str]:
    for name, kind in typing.get_type_hints(tree).items():
        if dataclasses.is_dataclass(kind):
            yield from choices(kind, f"{prefix}{name}.")
        elif typing.get_origin(kind) is typing.Literal:
            yield f"{prefix}{name}"


@pytest.mark.parametrize("tree", TREES)
def test_a_choice_that_is_none_is_refused_by_its_key(tree: type) -> None:
    keys = list(choices(tree))
    assert {"dtype", "data.name"} <= set(keys)
    for key in keys:
        message = refused(tree, f"{key}=no-such-choice")
        assert f"'{key}' must be one of" in message, message


@pytest.mark.parametrize("value", ["0", "true", "null", "[dlcm]"])
def test_so_is_a_choice_of_another_kind(value: str) -> None:
    assert "'ppo.reward_norm' must be one of running_std, conversation" in refused(
        RunConfig, f"ppo.reward_norm={value}"
    )


def test_every_text_that_names_one_of_a_few_things_is_a_choice() -> None:
    """Texts that may be anything: paths, names of models, addresses. A new one belongs here only if it is such."""
    free = {
        "data.path",
        "data.items",
        "policy.base",
        "policy.encoder",
        "signals.sentiment",
        "users.phrases",
        "device",
        "out",
    }
    free |= {"lists.timezone", "knowledge.writer", "knowledge.url", "knowledge.model", "knowledge.encoder"}
    texts = {key for tree in TREES for key in _texts(tree)}
    assert texts <= free, f"give these a Literal: {sorted(texts - free)}"


def _texts(tree: Any, prefix: str = "") -> Iterator[str]:
    for name, kind in typing.get_type_hints(tree).items():
        if dataclasses.is_dataclass(kind):
            yield from _texts(kind, f"{prefix}{name}.")
        elif kind is str:
            yield f"{prefix}{name}"


@pytest.mark.parametrize(
    ("tree", "overrides", "message"),
    [
        (RunConfig, ["policy.lm.heads=5"], "'policy.lm.heads' must be a number that divides width=192, not 5"),
        (RunConfig, ["policy.slate_titles=6"], "'policy.slate_titles' must be at most slate_size=5, not 6"),
        (RunConfig, ["signals.alpha=0", "signals.beta=0", "signals.gamma=0"], "'signals.alpha' must be above 0, or"),
        (RunConfig, ["signals.parts=[1,1,1,1]"], "'signals.parts' must be 5 numbers, not all of them 0"),
        (
            RunConfig,
            ["users.people.mixture=[0,0,0,0,0]"],
            "'users.people.mixture' must be 5 numbers, not all of them 0",
        ),
        (RerankConfig, ["knowledge.lm.heads=7"], "'knowledge.lm.heads' must be a number that divides width="),
        (RerankConfig, ["listwise.width=62"], "'listwise.heads' must be a number that divides width=62, not 4"),
        (RerankConfig, ["lists.length=4"], "'lists.consumed' must be below length=4, not 4"),
    ],
)
def test_settings_that_do_not_go_together_are_one_sentence(tree: type, overrides: list[str], message: str) -> None:
    with pytest.raises(InputError) as error:
        load(tree, None, overrides)
    assert message in str(error.value)


def test_settings_made_in_python_have_the_same_limits() -> None:
    config = RunConfig(out="nowhere")
    config.ppo.slate_lr = math.nan
    with pytest.raises(InputError, match=r"ppo\.slate_lr must be between 0 and 1, not nan"):
        pipelines.run(config)
    reranking = RerankConfig(out="nowhere")
    reranking.align.dpo.epochs = 0.0
    with pytest.raises(InputError, match=r"align\.dpo\.epochs must be above 0"):
        pipelines.run(reranking)


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_config_that_is_shipped_loads(path: Path) -> None:
    if path.name in LATER:
        pipelines.load_config(CONFIGS[0], [str(path)])
    elif path.name == "loop.yaml":
        load(LoopConfig, path, [])
    elif path.name == "outcomes.yaml":
        load(OutcomesRunConfig, path, [])
    else:
        pipelines.load_config(path)
