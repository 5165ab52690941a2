"""The samples of a round: where they cannot be told apart, that is said."""

from __future__ import annotations

import pytest

from tacit.rerank.stages.rounds import say_if_alike


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        ([["a", "a"], ["b", "b"], ["c", "d"]], True),
        ([["a", "a"], ["c", "d"]], False),  # half of them are not most
        ([["a"], ["b"]], False),  # one sample has nothing to differ from
        ([], False),
    ],
)
def test_samples_that_are_all_alike_are_told(
    samples: list[list[str]], said: bool, caplog: pytest.LogCaptureFixture
) -> None:
    say_if_alike(samples)
    assert ("all samples about 2 of 3 users are the same text" in caplog.text) == said
    assert bool(caplog.records) == said
