"""Rows that begin alike, once: the trees by hand."""

from __future__ import annotations

from tacit.text.prefix_trees import prefix_trees


def test_rows_that_share_a_beginning_are_one_tree() -> None:
    """1 2 3 | 1 2 3 4 5 | 1 2 6 share 1 2 (and 3); 9 9 stands alone; the first row comes twice."""
    trees = prefix_trees([[1, 2, 3], [9, 9], [1, 2, 3, 4, 5], [1, 2, 6], [1, 2, 3]], width=100)
    assert trees.tokens == [1, 2, 3, 4, 5, 6, 9, 9] and trees.depths == [0, 1, 2, 3, 4, 2, 0, 1]
    assert trees.sizes == [6, 2]
    assert trees.nodes == [[0, 1, 2], [6, 7], [0, 1, 2, 3, 4], [0, 1, 5], [0, 1, 2]]
    seen = trees.seen()
    assert seen[0] is not None and seen[1] is None
    assert [row.nonzero()[0].tolist() for row in seen[0]] == [
        [0], [0, 1], [0, 1, 2], [0, 1, 2, 3], [0, 1, 2, 3, 4], [0, 1, 5],
    ]  # fmt: skip


def test_one_common_token_is_not_worth_a_tree() -> None:
    rows = [[1, *range(10, 60)], [1, *range(60, 120)]]
    trees = prefix_trees(rows, width=100)
    assert trees.sizes == [51, 61] and trees.seen() == [None, None]
    assert len(prefix_trees(rows, width=1_000_000).sizes) == 1


def test_rows_that_go_on_where_another_ends_are_read_in_their_order() -> None:
    trees = prefix_trees([[1, 2, 3], [1, 2, 3, 4], [1, 2, 3, 4, 5, 6]], width=100)
    assert trees.tokens == [1, 2, 3, 4, 5, 6] and trees.seen() == [None]
