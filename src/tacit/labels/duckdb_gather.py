"""What was observed, by DuckDB: the rows of ``gather``, for a log that is larger than memory, or in SQL.

The names of columns, and what each means, are told there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

import polars as pl

from tacit.events.rows import STREAMS
from tacit.labels.gather import AGAINST, CLICKS, COLUMNS, FOR, LEFT_OUT, Observed, Span
from tacit.labels.parts import Part
from tacit.types import InputError

MOMENTS = {"exposures": "created_ms", "deliveries": "recv_ms", "events": "recv_ms"}


def _names(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


_BY_ITEM = f"""
CREATE TEMP TABLE reports AS
WITH told AS (
    SELECT exposure_id, item_id, kind, seq, visible_ms, scroll_depth, censored, value, device FROM events
    UNION ALL
    SELECT against, NULL, kind, seq, visible_ms, scroll_depth, censored, -value, device FROM events
    WHERE kind = 'vote' AND against IS NOT NULL
)
SELECT exposure_id, item_id,
    max(visible_ms) AS visible_ms,
    max(CASE WHEN visible_ms IS NOT NULL THEN 2 * seq + censored::BIGINT END) AS last,
    max(scroll_depth) AS scroll_depth,
    max(kind IN ({_names(CLICKS)})) AS clicked,
    max(CASE WHEN kind IN ({_names(FOR)}) THEN seq END) AS liked,
    max(CASE WHEN kind IN ({_names(AGAINST)}) THEN seq END) AS refused,
    max(kind = 'seen_it') AS known,
    max(kind = 'reply') AS replied,
    max(kind = 'accept') AS accepted,
    max(kind = 'session_end') AS ended,
    max(CASE WHEN kind IN ('thumb', 'vote') AND value <> 0 THEN 2 * seq + (value > 0)::BIGINT END) AS opinion,
    max(device) AS device
FROM told GROUP BY exposure_id, item_id
"""
_SHOWN = """
CREATE TEMP TABLE shown AS
WITH moments AS (
    SELECT session_id, turn, created_ms AS moment FROM exposures
    UNION ALL SELECT session_id, NULL, recv_ms FROM events
), sessions AS (
    SELECT session_id, max(turn) AS last_turn, max(moment) AS silent_ms FROM moments GROUP BY session_id
)
SELECT e.*, d.words, s.last_turn, e.consent = 'train' AS agreed,
    coalesce(d.state, 'undelivered') = 'delivered' AS delivered,
    s.silent_ms + $window_ms <= $as_of AS mature
FROM exposures e LEFT JOIN deliveries d ON d.exposure_id = e.exposure_id
    LEFT JOIN sessions s ON s.session_id = e.session_id
WHERE e.created_ms >= $first_ms AND e.created_ms < $end_ms
"""
_COUNTS = """
SELECT count(*) FILTER (NOT agreed), count(*) FILTER (agreed AND NOT delivered),
    count(*) FILTER (agreed AND delivered AND NOT mature)
FROM shown
"""
_TURNS = """
CREATE TEMP TABLE turns AS
WITH parts AS (
    SELECT exposure_id, bool_or(clicked) AS clicked, bool_or(replied) AS replied, bool_or(accepted) AS accepted,
        bool_or(ended) AS ended, max(opinion) AS opinion, max(device) AS device,
        max(scroll_depth) FILTER (item_id IS NULL) AS scroll_depth,
        max(visible_ms) FILTER (item_id IS NULL) AS whole_ms, max(last) FILTER (item_id IS NULL) AS whole_last,
        max(visible_ms) AS part_ms, coalesce(bool_or(last % 2 = 1), false) AS part_censored,
        count(*) FILTER (refused IS NOT NULL AND item_id IS NOT NULL) AS refused_items
    FROM reports GROUP BY exposure_id
)
SELECT exposure_id, session_id, "user", turn, words, device, part_censored IS NOT NULL AS observed,
    len(items) AS size, coalesce(whole_ms, part_ms) AS visible_ms,
    CASE WHEN whole_ms IS NOT NULL THEN whole_last % 2 = 1 ELSE part_censored END AS censored, scroll_depth,
    coalesce(clicked, false) AS clicked, last_turn > turn OR coalesce(replied, false) AS went_on,
    coalesce(accepted, false) AS accepted, len(items) > 0 AND coalesce(refused_items >= len(items), false) AS refused,
    coalesce(ended, false) AS ended, opinion % 2 = 1 AS opinion, items, positions
FROM shown LEFT JOIN parts USING (exposure_id)
WHERE agreed AND delivered AND mature
"""
_ITEMS = """
WITH flat AS (
    SELECT exposure_id, session_id, "user", turn, words, device, observed, size,
        unnest(items) AS item_id, unnest(positions) AS position
    FROM turns
), joined AS (
    SELECT f.* EXCLUDE (size), r.visible_ms, r.last % 2 = 1 AS censored, coalesce(r.clicked, false) AS clicked,
        CASE WHEN coalesce(r.liked, w.liked, r.refused) IS NOT NULL
             THEN greatest(coalesce(r.liked, -1), coalesce(w.liked, -1)) > coalesce(r.refused, -1) END AS said,
        coalesce(r.known, false) AS known
    FROM flat f LEFT JOIN reports r ON r.exposure_id = f.exposure_id AND r.item_id = f.item_id
        LEFT JOIN reports w ON w.exposure_id = f.exposure_id AND w.item_id IS NULL AND f.size = 1
)
SELECT *, CASE WHEN observed THEN coalesce(visible_ms, 0) > 0 OR clicked OR known OR said IS NOT NULL END AS seen
FROM joined ORDER BY exposure_id, position
"""


def from_files(part: Part, span: Span) -> Observed:
    try:
        import duckdb
        import pyarrow  # noqa: F401  # what passes between DuckDB and polars
    except ImportError:
        raise InputError(
            "duckdb and pyarrow are not both installed: pip install 'tacit-rec[duckdb]', or leave out --engine."
        ) from None
    with duckdb.connect() as connection:
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET enable_progress_bar = false")
        _load(connection, part, span)
        connection.execute(_BY_ITEM)
        times = {"window_ms": span.window_ms, "as_of": span.as_of, "first_ms": span.first_ms, "end_ms": span.end_ms}
        connection.execute(_SHOWN, times)
        counts = connection.execute(_COUNTS).fetchone() or ()
        connection.execute(_TURNS)
        turns = connection.sql("SELECT * EXCLUDE (items, positions) FROM turns ORDER BY exposure_id").pl()
        items = connection.sql(_ITEMS).pl()
    return Observed(turns, items, Counter(dict(zip(LEFT_OUT, map(int, counts), strict=True))))


def _load(connection: Any, part: Part, span: Span) -> None:
    """The rows of sessions with an exposure on the part's day, each exposure and delivery once, up to ``as_of``."""
    for name, moment in MOMENTS.items():
        files = [str(path) for path in part.files[name]]
        if files:
            connection.read_parquet(files, hive_partitioning=False).create_view(f"{name}_files")
        else:
            none = pl.DataFrame(schema={column: STREAMS[name].columns[column] for column in COLUMNS[name]})
            connection.register(f"{name}_files", none.to_arrow())
        once = "" if name == "events" else "QUALIFY row_number() OVER (PARTITION BY exposure_id) = 1"
        connection.execute(f"""
            CREATE TEMP TABLE {name} AS
            SELECT {", ".join(f'"{column}"' for column in COLUMNS[name])} FROM {name}_files
            WHERE {moment} <= {span.as_of} AND session_id IN (
                SELECT session_id FROM exposures_files
                WHERE created_ms >= {span.first_ms} AND created_ms < {span.end_ms}
            ) {once}
        """)
