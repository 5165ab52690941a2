"""Limits of numbers in settings: each edge, numbers that are not finite, lists, sections, and what the refusal says."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tacit.run.config import load
from tacit.run.limits import Limits, above, at_least, between, finite, numbers, share
from tacit.types import InputError


@dataclass
class Inner:
    lr: float = above(0.0, default=1e-3)
    shares: list[float] = field(default_factory=lambda: [0.5, 0.5], metadata={"limits": Limits(0.0, 1.0)})


@dataclass
class Settings:
    epochs: int = at_least(1, default=3)
    dropout: float = share(default=0.1)
    temperature: float = between(0.5, 2.0, default=1.0)
    bias: float = finite(default=0.0)
    forgotten: float = 0.0
    on: bool = True
    inner: Inner = field(default_factory=Inner)


@pytest.mark.parametrize(
    "override", ["epochs=1", "dropout=0", "dropout=1", "temperature=0.5", "temperature=2", "bias=-7", "on=false",
                 "inner.lr=1e-30", "inner.shares=[0,1]"],
)  # fmt: skip
def test_the_edges_are_allowed(override: str) -> None:
    load(Settings, None, [override])


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("epochs=0", "'epochs' must be at least 1, not 0"),
        ("epochs=-3", "'epochs' must be at least 1, not -3"),
        ("dropout=1.01", "'dropout' must be between 0 and 1, not 1.01"),
        ("temperature=0.4", "'temperature' must be between 0.5 and 2"),
        ("inner.lr=0", "'inner.lr' must be above 0, not 0.0"),
        ("inner.shares=[0.5,1.5]", "'inner.shares' must be between 0 and 1, not 1.5"),
        ("inner.lr=nan", "'inner.lr' must be above 0, not nan"),
        ("inner.lr=inf", "'inner.lr' must be above 0, not inf"),
        ("bias=nan", "'bias' must be a finite number, not nan"),
        ("forgotten=-inf", "'forgotten' must be a finite number, not -inf"),
    ],
)
def test_beyond_them_the_key_the_value_and_what_is_allowed_are_named(override: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        load(Settings, None, [override])
    assert message in str(error.value) and f"override '{override}'" in str(error.value)


def test_the_file_that_said_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("inner: {lr: -1}\n")
    with pytest.raises(InputError, match=r"my\.yaml: 'inner\.lr' must be above 0"):
        load(Settings, tmp_path / "my.yaml")
    assert load(Settings, tmp_path / "my.yaml", ["inner.lr=1"]).inner.lr == 1.0


def test_numbers_finds_every_number_and_what_was_forgotten() -> None:
    limits = dict(numbers(Settings))
    assert limits["inner.lr"] == Limits(0.0, open=True) and limits["forgotten"] is None
    assert set(limits) == {"epochs", "dropout", "temperature", "bias", "forgotten", "inner.lr", "inner.shares"}
