"""Any labels of a classifier map in the order of what they say, or are refused in one sentence."""

from __future__ import annotations

from fault_examples import FAULTS
from hypothesis import given
from hypothesis import strategies as st

from tacit.text.label_polarity import label_polarity
from tacit.types import InputError

SIDES = ["very negative", "negative", "slightly negative", "neutral", "slightly positive", "positive", "very positive"]
WORDS = st.sampled_from([*SIDES, "pos", "neg", "LABEL_0", "LABEL_1", "1 star", "2 stars", "joy", "", "★★"])


@FAULTS
@given(st.lists(st.one_of(st.text(max_size=12), WORDS), max_size=7))
def test_any_labels(labels: list[str]) -> None:
    try:
        polarity = label_polarity(labels, "m")
    except InputError as error:
        assert "signals.sentiment_labels" in str(error)
        return
    assert len(polarity) == len(labels) and all(-1.0 <= p <= 1.0 for p in polarity)
    assert len(set(polarity)) == len(polarity)


@FAULTS
@given(st.permutations(SIDES), st.integers(2, 7), st.sampled_from(["lower", "upper", "title"]), st.sampled_from(" _-"))
def test_sides_are_in_order(labels: list[str], n: int, case: str, glue: str) -> None:
    chosen = labels[:n]
    written = [getattr(label, case)().replace(" ", glue) for label in chosen]
    ranks = [SIDES.index(label) for label in chosen]
    if not min(ranks) < 3 < max(ranks):
        return
    polarity = label_polarity(written, "m")
    assert sorted(range(n), key=polarity.__getitem__) == sorted(range(n), key=ranks.__getitem__)
    assert all((p > 0) == (rank > 3) and (p == 0) == (rank == 3) for p, rank in zip(polarity, ranks, strict=True))


@FAULTS
@given(st.lists(st.integers(0, 100), min_size=2, max_size=9, unique=True))
def test_stars_are_in_order(stars: list[int]) -> None:
    polarity = label_polarity([f"{n} stars" for n in stars], "m")
    assert sorted(stars, key=dict(zip(stars, polarity, strict=True)).__getitem__) == sorted(stars)
    assert min(polarity) == -1.0 and max(polarity) == 1.0
