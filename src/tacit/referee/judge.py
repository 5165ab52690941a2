"""Run files → every number, under every protocol asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tacit.catalog import Catalog
from tacit.metrics.results import Row
from tacit.referee.candidates import CandidateLists, read_candidates
from tacit.referee.cases import Case, Cases, cases, same_cases
from tacit.referee.form import RunFile
from tacit.referee.leaks import Finding, audit, tied
from tacit.referee.lists import list_rows
from tacit.referee.measures import Ranked, rows_of
from tacit.referee.protocols import Protocol, named
from tacit.referee.ranks import CaseRanks, Scores, concatenate, draw_negatives, rank_full, rank_sampled
from tacit.referee.replies import reply_remarks, reply_rows
from tacit.types import Dialogue, InputError, Ints64

DEFAULT = ("standard", "full", "sampled-99", "popularity-99")
_BATCH = 64  # contexts compared at a time
Key = tuple[str, str]  # context id, gold item id
Lists = Mapping[Key, tuple[str, ...]]  # the ids of the candidates beside the gold item


@dataclass
class Verdict:
    """``rows`` carry the system's name as ``model``; ``lists`` are the candidates of each sampled protocol."""

    systems: dict[str, RunFile]
    protocols: tuple[Protocol, ...]
    rows: list[Row] = field(default_factory=list)
    leaks: dict[str, list[Finding]] = field(default_factory=dict)
    lists: dict[str, Lists] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Settings:
    """``seed`` of the negatives and of the resamples; ``candidates``: a published candidate file."""

    seed: int = 0
    draws: int = 1000
    candidates: Path | None = None


def judge(
    runs: Sequence[RunFile],
    names: Sequence[str] = DEFAULT,
    settings: Settings | None = None,
    training: Sequence[Dialogue] | None = None,
) -> Verdict:
    """Levels of every run file, and the differences of every later one from the first, where the cases are the same."""
    settings = settings or Settings()
    systems = _names(runs)
    verdict = Verdict(systems, tuple(dict.fromkeys(map(named, names))))
    found = {system: cases(run) for system, run in systems.items()}
    _require_own(systems, verdict.protocols)
    given = _given(settings.candidates, verdict.protocols, next(iter(found.values())))
    for protocol in verdict.protocols:
        _judge(verdict, protocol, found, given, settings)
    first = next(iter(systems))
    for system, run in systems.items():
        against = [(first, systems[first])] if system != first else []
        verdict.rows += reply_rows(system, run, against, settings.draws, settings.seed)
        verdict.remarks += reply_remarks(system, run, against)
        verdict.leaks[system] = audit(found[system], training)
        if run.ranked and found[system].found:
            verdict.leaks[system].append(_ties(found[system], run))
    return verdict


def _given(path: Path | None, protocols: Sequence[Protocol], first: Cases) -> CandidateLists | None:
    """The candidate file that was given; InputError where nothing is judged by it."""
    if path is None:
        return None
    lists = read_candidates(path, first.catalog)
    if lists.protocol not in protocols:
        name = lists.protocol.name
        raise InputError(f"{path} holds candidates of {name!r}, which is not asked for: add --protocol {name}.")
    return lists


def _judge(
    verdict: Verdict,
    protocol: Protocol,
    found: Mapping[str, Cases],
    given: CandidateLists | None,
    settings: Settings,
) -> None:
    """The rows of one protocol."""
    able = [name for name, run in verdict.systems.items() if _can(run, protocol) and found[name].found]
    for name in verdict.systems:
        if name not in able:
            what = "has no scores of these candidates" if found[name].found else "names no gold items, so no ranks"
            verdict.remarks.append(f"{protocol.name}: {name} {what}")
    if not able:
        return
    lists = _lists(verdict, protocol, able, found, given, settings.seed) if protocol.negatives else {}
    ranked: dict[str, Ranked] = {}
    for name in able:
        mine = found[name]
        ranks = _ranks(verdict.systems[name], mine, [lists[key] for key in mine.keys] if lists else None)
        ranked[name] = Ranked(name, mine, ranks)
    if lists:
        verdict.lists[protocol.name] = lists
    for name, one in ranked.items():
        against = _first(verdict, protocol, ranked, name, lists)
        verdict.rows += rows_of(one, protocol, against, settings.draws, settings.seed)
        if not protocol.negatives and (scores := verdict.systems[name].scores) is not None:
            for slice in ("all", "new") if protocol.masks == "mentioned in new" else ("all",):
                verdict.rows += list_rows(name, one.cases, scores, protocol, slice, settings.draws, settings.seed)


def _first(verdict: Verdict, protocol: Protocol, ranked: Mapping[str, Ranked], name: str, lists: Lists) -> list[Ranked]:
    """The first system that was ranked, in the order of this one's cases; nothing where they cannot be compared."""
    first = next(iter(ranked))
    if name == first:
        return []
    here, other = ranked[name].cases, ranked[first]
    order = same_cases(here, other.cases)
    if order is None:
        verdict.remarks.append(
            f"{protocol.name}: {name} and {first} have other cases, so no differences: {_unlike(here, other.cases)}"
        )
        return []
    if unlike := _otherwise_named(here, other.cases):
        verdict.remarks.append(
            f"{protocol.name}: {name} and {first} tell otherwise which items were named before ('mentioned'), so no "
            f"differences: in {len(unlike)} contexts, such as {unlike[0]}"
        )
        return []
    if not protocol.negatives and (only := _items_of_one(here.catalog, other.cases.catalog)):
        verdict.remarks.append(
            f"{protocol.name}: {name} ranks {len(here.catalog):,} items, {first} {len(other.cases.catalog):,}, and "
            f"{only:,} are in one catalogue alone: the differences are also of the catalogues"
        )
    own = [
        _ids(run.candidates, run.catalog) for run in (verdict.systems[name], verdict.systems[first]) if run.candidates
    ]
    if any(set(lists[key]) != set(ids) for one in own for key, ids in one.items()):
        verdict.remarks.append(f"{protocol.name}: {name} and {first} scored other candidates, so no differences")
        return []
    return [Ranked(first, here, CaseRanks(other.ranks.full[order], other.ranks.masked[order]))]


def _otherwise_named(here: Cases, other: Cases) -> list[str]:
    """Ids of the ranked contexts whose ``mentioned`` items differ: the slices and the masks of the two would, too."""
    named = {other.contexts[row].id: set(other.contexts[row].mentioned) for row in set(other.rows.tolist())}
    mine = (here.contexts[row] for row in dict.fromkeys(here.rows.tolist()))
    return [context.id for context in mine if set(context.mentioned) != named[context.id]]


def _items_of_one(one: Catalog, other: Catalog) -> int:
    """How many items only one of two catalogues has."""
    return len({item.id for item in one} ^ {item.id for item in other})


def _unlike(here: Cases, other: Cases) -> str:
    """``2 of 9 are in the one alone, such as 1:4 with b; 0 of 7 in the other``."""
    one, two = (set(cases.keys) for cases in (here, other))
    told = []
    for mine, theirs, place in ((one, two, "the one alone"), (two, one, "the other")):
        lost = sorted(mine - theirs)
        told.append(
            f"{len(lost)} of {len(mine)} in {place}" + (f", such as {lost[0][1]} in {lost[0][0]}" if lost else "")
        )
    return "; ".join(told)


def _names(runs: Sequence[RunFile]) -> dict[str, RunFile]:
    """The systems by name; a second of the same name is called ``name (2)``."""
    systems: dict[str, RunFile] = {}
    for run in runs:
        name, again = run.system, 1
        while name in systems:
            again += 1
            name = f"{run.system} ({again})"
        systems[name] = run
    return systems


def _require_own(systems: Mapping[str, RunFile], protocols: Sequence[Protocol]) -> None:
    """A run file with candidate lists can be judged under the protocol of those lists alone."""
    for run in systems.values():
        if run.candidates is not None and run.candidates.protocol not in protocols:
            own = run.candidates.protocol.name
            raise InputError(f"{run.folder} has scores of the candidates of {own!r} alone: add --protocol {own}.")


def _can(run: RunFile, protocol: Protocol) -> bool:
    return run.ranked or (run.candidates is not None and run.candidates.protocol == protocol)


def _lists(
    verdict: Verdict,
    protocol: Protocol,
    able: Sequence[str],
    found: Mapping[str, Cases],
    given: CandidateLists | None,
    seed: int,
) -> dict[Key, tuple[str, ...]]:
    """Candidates of every case: as given, as a run file has them, or drawn with the first catalogue that has it."""
    first = next(iter(verdict.systems.values()))
    used = given is not None and given.protocol == protocol
    lists = _ids(given, first.catalog) if given is not None and used else {}
    if unused := sorted(set(lists) - {key for name in able for key in found[name].keys}):
        verdict.remarks.append(
            f"{protocol.name}: {len(unused)} of the {len(lists)} lists that were given are of no case here, such as "
            f"{unused[0]}"
        )
    for name in able:
        run = verdict.systems[name]
        lists = (_ids(run.candidates, run.catalog) if run.candidates is not None else {}) | lists
    for name in able:
        mine = found[name]
        lost = [case for case, key in zip(mine.found, mine.keys, strict=True) if key not in lists]
        if lost and used:
            key = (lost[0].place, mine.catalog.items[lost[0].gold].id)
            raise InputError(
                f"the candidate file has no list for {len(lost)} of {len(mine.keys)} cases of {name}, such as {key}: "
                "add them, or leave --candidates out and they are drawn."
            )
        rows = draw_negatives(lost, mine.catalog, protocol.negatives, seed, protocol.drawn)
        for case, others in zip(lost, rows.tolist(), strict=True):
            key = (case.place, mine.catalog.items[case.gold].id)
            lists[key] = tuple(mine.catalog.items[other].id for other in others)
    return lists


def _ids(lists: CandidateLists, catalog: Catalog) -> dict[Key, tuple[str, ...]]:
    return {
        key: tuple(catalog.items[row].id for row in rows)
        for key, rows in zip(lists.keys, lists.rows.tolist(), strict=True)
    }


def _ranks(run: RunFile, mine: Cases, lists: Sequence[Sequence[str]] | None) -> CaseRanks:
    """Of every case of one run file, in the order of its cases."""
    assert run.scores is not None
    if run.candidates is not None:
        return _ranks_of_lists(run.candidates, run.scores, mine)
    negatives = None if lists is None else _rows(run, lists)
    parts, at = [], 0
    for groups in _chunks(mine):
        scores = np.asarray(run.scores[[group[0].row for group in groups]])
        count = sum(map(len, groups))
        if negatives is None:
            parts.append(rank_full(scores, groups))
        else:
            parts.append(rank_sampled(scores, groups, negatives[at : at + count]))
        at += count
    return concatenate(parts)


def _rows(run: RunFile, lists: Sequence[Sequence[str]]) -> Ints64:
    """The candidates as rows of this run's catalogue."""
    lost = next((item for others in lists for item in others if item not in run.catalog), None)
    if lost is not None:
        raise InputError(
            f"{run.folder}: candidate {lost!r} is not in its items.jsonl: add the item, or judge this run file alone."
        )
    return np.array([[run.catalog.index(item) for item in others] for others in lists], dtype=np.int64)


def _ranks_of_lists(lists: CandidateLists, scores: Scores, mine: Cases) -> CaseRanks:
    """Scores [lists, 1 + m], the gold item's first."""
    places = {key: at for at, key in enumerate(lists.keys)}
    full, masked = [], []
    for case, key in zip(mine.found, mine.keys, strict=True):
        at = places[key]
        row = np.asarray(scores[at])
        ahead = row[1:] >= row[0]
        full.append(1 + int(ahead.sum()))
        masked.append(1 + int((ahead & ~np.isin(lists.rows[at], case.mentioned)).sum()))
    return CaseRanks(np.array(full, dtype=np.int64), np.array(masked, dtype=np.int64))


def _ties(mine: Cases, run: RunFile) -> Finding:
    assert run.scores is not None
    best = []
    for group in mine.groups:
        row = np.asarray(run.scores[group[0].row])
        best += [1 + int((row > row[case.gold]).sum()) for case in group]
    return tied(np.array(best, dtype=np.int64), _ranks(run, mine, None).full)


def _chunks(mine: Cases) -> Iterator[list[list[Case]]]:
    for start in range(0, len(mine.groups), _BATCH):
        yield mine.groups[start : start + _BATCH]
