"""Where the noise of a table's value comes from."""

from __future__ import annotations

import numpy as np
import pytest

from tacit.rerank.evaluate.rows import variance


def test_variance_is_split_between_writer_and_ranker_seeds() -> None:
    """Seeds of two writers: .1 .3 and .5 .7. Within: .04 / 2 = .02. Means .2 and .6: .08, less .02 / 2 seeds = .07."""
    users = np.array([0, 0, 1, 1])
    first, second = (np.repeat(np.array(seeds)[:, None], 4, axis=1) for seeds in ((0.1, 0.3), (0.5, 0.7)))
    parts = variance([first, second], users)
    assert parts["ranker seed"] == pytest.approx(0.02**0.5) and parts["writer seed"] == pytest.approx(0.07**0.5)
    assert parts["users"] == pytest.approx(0.0)
    assert set(variance([first], users)) == {"users", "ranker seed"} and set(variance([first[:1]], users)) == {"users"}


def test_writers_that_differ_by_no_more_than_their_rankers_have_no_part() -> None:
    one, other = np.array([[0.1], [0.3]]), np.array([[0.3], [0.1]])
    assert variance([one, other], np.array([0]))["writer seed"] == 0.0
