"""The fast reader and the counts of a check, held to slow twins that go turn by turn."""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from itertools import groupby

import pytest
from fault_examples import FAULTS
from hypothesis import given
from hypothesis import strategies as st
from log_lines import log_lines

from tacit.catalog import Catalog
from tacit.data.dialogues import columns, fingerprints, typed
from tacit.data.dialogues.check import Checked, Problem, check
from tacit.data.dialogues.fingerprints import Fingerprints
from tacit.data.dialogues.form import parse
from tacit.data.dialogues.observed import FIELDS, Observed, _Kind
from tacit.data.lines import decode
from tacit.data.thoughts import any_thoughts, has_thoughts
from tacit.types import Dialogue, Item, Turn

CATALOG = Catalog(
    [Item(id, title, title) for id, title in (("a", "Alpha (1999)"), ("b", "Beta Hill (2001)"), ("c", "C"))]
)
KNOWN = frozenset("abc")


def slow(raw: bytes, catalog: Catalog | None) -> tuple[Dialogue | None, str, int]:
    """(the dialogue, why there is none, agent turns with thoughts)"""
    try:
        row = decode(raw)
        dialogue = parse(row, catalog)
    except ValueError as error:
        return None, str(error), 0
    return dialogue, "", sum(turn["speaker"] == "agent" and has_thoughts(turn["text"]) for turn in row["turns"])


def kinds(dialogue: Dialogue) -> Counter[_Kind]:
    """One run of an agent's messages after the other."""
    found: Counter[_Kind] = Counter()
    runs = [(speaker, list(turns)) for speaker, turns in groupby(dialogue.turns, key=lambda turn: turn.speaker)]
    for k, (speaker, run) in enumerate(runs):
        if speaker == "agent":
            seen = next((turn.feedback for turn in reversed(run) if turn.feedback), None)
            found[
                _Kind(
                    any(turn.slate is not None for turn in run),
                    any(turn.slate is not None and turn.slate.propensities is not None for turn in run),
                    any(turn.time_s is not None for turn in run),
                    k > 0,
                    k + 1 < len(runs),
                    None if seen is None else tuple(getattr(seen, name) is not None for name in FIELDS),
                    seen is not None and bool(seen.accepted or seen.left),
                )
            ] += 1
    return found


def beginnings(dialogue: Dialogue) -> list[tuple[tuple[str, str], ...]]:
    said = tuple((turn.speaker, turn.text.strip()) for turn in dialogue.turns)
    return [said[: k + 1] for k in range(len(said))]


def slow_check(raws: list[bytes], catalog: Catalog | None) -> tuple[Checked, list[Problem], Observed, int]:
    problems, repeats, good, first = [], [], [], dict[str, int]()
    thoughts = 0
    for number, raw in enumerate(raws, 1):
        if raw.strip(b" \t\n\r\x0b\x0c"):
            dialogue, reason, thinking = slow(raw, catalog)
            if dialogue is None:
                problems.append(Problem(number, reason))
                continue
            good.append(dialogue)
            thoughts += thinking
            if dialogue.id in first:
                repeats.append(
                    Problem(number, f"the dialogue id repeats that of line {first[dialogue.id]}: make ids unique")
                )
            first.setdefault(dialogue.id, number)
    observed = Observed(len(good), sum(bool(d.judgements) for d in good), sum(len(d.turns) for d in good))
    wholes = [beginnings(dialogue)[-1] for dialogue in good]
    contained = 0
    for k, dialogue in enumerate(good):
        longer = any(wholes[k] in beginnings(other)[:-1] for other in good)
        answered = any(turn.speaker == "agent" for turn in dialogue.turns)
        contained += answered and (longer or wholes[k] in wholes[:k])
    total = sum(bool(raw.strip(b" \t\n\r\x0b\x0c")) for raw in raws)
    bad = len(problems) + len(repeats)
    checked = Checked(total, bad, observed.turns, contained, thoughts)
    return checked, problems + repeats, observed, len({dialogue.user for dialogue in good})


@FAULTS
@given(log_lines(), st.sampled_from([None, CATALOG]))
def test_what_the_fast_reader_takes_is_what_the_form_makes_of_it(raws: list[bytes], catalog: Catalog | None) -> None:
    """To the type of every number: fingerprints of a run's data are made of them."""
    for raw in raws:
        fast = typed.read(raw, KNOWN if catalog else None)
        if fast is not None:
            assert repr(fast) == repr(slow(raw, catalog)[0])


@FAULTS
@given(log_lines(), st.sampled_from([None, CATALOG]), st.sampled_from([b"\n", b"\r\n", b"\n\n"]), st.booleans())
def test_a_check_says_what_reading_line_by_line_says(
    tmp_path_factory: pytest.TempPathFactory, raws: list[bytes], catalog: Catalog | None, end: bytes, marked: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / "log.jsonl"
    content = (b"\xef\xbb\xbf" if marked else b"") + end.join(raws)
    path.write_bytes(content)
    lines = BytesIO(content).readlines()
    wanted, problems, observed, users = slow_check(lines, catalog)
    if not wanted.lines:
        return
    found: list[Problem] = []
    seen = Observed()
    with Fingerprints() as prints:
        assert check(path, catalog, found.append, prints=prints, observed=seen) == wanted
        assert prints.users() == users
    assert found == problems
    assert (seen.dialogues, seen.judged, seen.turns) == (observed.dialogues, observed.judged, observed.turns)
    good = [dialogue for raw in lines if (dialogue := slow(raw, catalog)[0])]
    assert seen.kinds == sum(map(kinds, good), Counter())


def test_both_ways_to_look_at_rows_agree() -> None:
    """Each of these breaks one rule beyond the types; among good rows it alone is left to the form."""
    good = b'{"id": "d", "user": "u", "turns": [{"speaker": "user", "text": "hi", "timestamp": 1}, %s]}'
    agent = b'{"speaker": "agent", "text": "see", "timestamp": 2, "slate": [%s], "feedback": {"clicked": ["a"]}}'
    card = b'{"item": "a", "position": 1, "propensity": 0.5}'
    fine = good % (agent % card)
    broken = [
        good.replace(b'"user", "text"', b'"agent", "text"') % (agent % card),
        good % (agent % card).replace(b"2", b"0.5"),
        good % (agent % card).replace(b"2", b"1700000000"),
        good % (agent % (card + b", " + card.replace(b"1,", b"2,"))),
        good % (agent % (card + b", " + card.replace(b'"a"', b'"b"'))),
        good % (agent % (card + b', {"item": "b", "position": 2}')),
        good % (agent % card.replace(b'"a"', b'"b"')),
        good % (agent % card).replace(b"see", b"<think>so</think>see"),
        (good % (agent % card)).replace(b'"a"', b'"z"'),
    ]
    row, rows = typed.decode(fine), [typed.decode(raw) for raw in broken]
    assert row is not None and typed.sound(row, KNOWN)
    for other in rows:
        assert other is not None and not typed.sound(other, KNOWN)
        part, unsound = columns.of_rows([row, other, row], KNOWN)
        assert unsound == [1] and part.ids.tolist() == [hash("d")] * 2


@given(
    st.lists(st.sampled_from(["<", "[think]", "think", "analysis x assistantfinal y", "an", "◁think▷", "[THINK] a"]))
)
def test_thoughts_of_many_texts(texts: list[str]) -> None:
    assert any_thoughts(texts) == any(map(has_thoughts, texts))


def test_records_on_disk_say_what_records_in_memory_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def talk(name: int, answers: int) -> Dialogue:
        said = [Turn(("user", "agent")[k % 2], f"{k % 7 + name % 5}") for k in range(2 * answers)]
        return Dialogue(f"d{name % 40}", f"u{name % 9}", tuple(said))

    def told() -> list[object]:
        with Fingerprints() as prints:
            for file in (0, 1):
                for line in range(60):
                    prints.add(file, line, talk(line * (file + 1), line % 4 + 1))
            files = bool(prints._beginnings._files)
            return [files, prints.repeated_ids(0), prints.contained(0), prints.overlap((0,), 1), prints.users()]

    in_memory = told()
    monkeypatch.setattr(fingerprints, "_IN_MEMORY", 16)
    on_disk = told()
    assert not in_memory[0] and on_disk[0] and in_memory[1:] == on_disk[1:]
    assert len(in_memory[1]) == 20 and in_memory[2]  # type: ignore[arg-type]


def test_an_empty_message_is_a_message() -> None:
    """Its hash must not be nothing, or the dialogue would be a beginning of itself."""
    said = (Turn("user", "hi"), Turn("agent", "see"), Turn("user", ""))
    with Fingerprints() as prints:
        prints.add(0, 1, Dialogue("d", "u", said))
        assert prints.contained(0) == 0
        prints.add(0, 2, Dialogue("e", "u", said[:2]))
        assert prints.contained(0) == 1


@given(st.text("{}\r\n ", min_size=1, max_size=9))
def test_lines_of_braces_are_counted_as_they_are_when_looked_at_one_by_one(text: str) -> None:
    body = text.encode()
    edges = {(line[:1], line.rstrip(b"\r")[-1:]) for line in body.split(b"\n")}
    assert typed._hold_values(body, body.count(b"\n") + 1) == (edges == {(b"{", b"}")})
