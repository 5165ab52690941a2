"""The audit: rows follow each other by hashes, so that whatever is changed, taken out or put in shows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tacit.serve.audit import Audit
from tacit.serve.registry import Registry
from tacit.types import InputError


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    audit = Audit(tmp_path / "audit.jsonl")
    for n in range(4):
        audit.append("promote", f"v{n}", f"v{n - 1}", "ünlike the old one", report="0" * 64, details={"z": 1.5})
    return audit


def lines(audit: Audit) -> list[str]:
    return audit.path.read_text().splitlines()


def write(audit: Audit, rows: list[str]) -> None:
    audit.path.write_text("".join(row + "\n" for row in rows))


def test_an_untouched_audit_has_no_fault(audit: Audit) -> None:
    rows = audit.rows()
    assert audit.faults() == [] and [row.n for row in rows] == [1, 2, 3, 4]
    assert rows[2].before == rows[1].hash and rows[0].details == {"z": 1.5} and rows[0].who


@pytest.mark.parametrize("key", ["who", "why", "version", "at", "forced", "report"])
def test_a_changed_row_shows_even_where_its_own_hash_is_made_anew(audit: Audit, key: str) -> None:
    rows = lines(audit)
    changed = {**json.loads(rows[1]), key: "another"}
    write(audit, [rows[0], json.dumps(changed, sort_keys=True, separators=(",", ":")), *rows[2:]])
    assert any(":2 was changed" in fault for fault in audit.faults())
    changed["hash"] = audit.rows()[1].hashed()
    write(audit, [rows[0], json.dumps(changed, sort_keys=True, separators=(",", ":")), *rows[2:]])
    assert any(":3 does not follow" in fault for fault in audit.faults())


def test_a_row_taken_out_or_put_in_twice_or_written_in_another_way_shows(audit: Audit) -> None:
    rows = lines(audit)
    for changed in (rows[1:], [rows[0], *rows[2:]], [*rows[:2], rows[1], *rows[2:]], [rows[1], rows[0], *rows[2:]]):
        write(audit, changed)
        assert audit.faults()
    write(audit, [json.dumps(json.loads(rows[0])), *rows[1:]])
    assert audit.faults()


def test_half_a_line_that_a_kill_left_is_no_row_and_the_next_takes_its_place(audit: Audit) -> None:
    with open(audit.path, "ab") as file:
        file.write(b'{"n": 5, "what": "prom')
    assert len(audit.rows()) == 4
    audit.append("rollback", "v2", "v3", "worse")
    assert [row.what for row in audit.rows()][-2:] == ["promote", "rollback"] and audit.faults() == []


def test_a_line_that_is_no_row_is_named(audit: Audit) -> None:
    write(audit, [lines(audit)[0], "[]"])
    with pytest.raises(InputError, match=r"audit\.jsonl:2 is damaged"):
        audit.rows()


def test_an_end_cut_off_and_a_pointer_written_by_hand_show(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    for weights in ("one", "two"):
        folder = tmp_path / weights
        folder.mkdir()
        (folder / "policy.json").write_text("{}")
        (folder / "weights").write_text(weights)
        registry.promote(registry.add(folder), force="for this test")
    assert registry.faults() == []
    rows, pointer = lines(registry.audit), registry.folder / "current.json"
    write(registry.audit, rows[:1])
    assert any("lacks the row" in fault for fault in registry.faults())
    write(registry.audit, rows)
    content = json.loads(pointer.read_text())
    pointer.write_text(json.dumps({**content, "history": content["history"][:1]}))
    assert any("is not what row 2" in fault for fault in registry.faults())
    pointer.write_text(json.dumps({"format": 1, "history": content["history"]}))
    assert any("written by something else" in fault for fault in registry.faults())


def of_two(folder: Path) -> Registry:
    """Two versions, the second current."""
    registry = Registry(folder)
    for weights in ("one", "two"):
        policy = folder / weights
        policy.mkdir()
        (policy / "policy.json").write_text("{}")
        (policy / "weights").write_text(weights)
        registry.promote(registry.add(policy), force="for this test")
    return registry


def test_rows_that_are_gone_stay_a_fault_after_the_next_move(tmp_path: Path) -> None:
    registry = of_two(tmp_path)
    write(registry.audit, lines(registry.audit)[:1])
    registry.rollback("worse")
    assert [row.what for row in registry.audit.rows()] == ["first", "lost", "rollback"]
    assert registry.audit.faults() == []
    assert any("Row 2 of the audit says: rows before it are missing" in fault for fault in registry.faults())


def test_a_pointer_that_is_gone_shows_and_stays_a_fault(tmp_path: Path) -> None:
    registry = of_two(tmp_path)
    (tmp_path / "current.json").unlink()
    assert any("current.json is missing or empty" in fault for fault in registry.faults())
    registry.promote(registry.versions()[0])  # nothing is current: the first of all needs no gate
    assert [row.what for row in registry.audit.rows()] == ["first", "promote", "lost", "first"]
    assert any("Row 3 of the audit says: current.json was missing" in fault for fault in registry.faults())


def test_a_row_whose_fields_are_of_another_kind_is_none(audit: Audit) -> None:
    for field, value in {"n": "2", "details": [], "why": None, "version": 7}.items():
        row = {**json.loads(lines(audit)[1]), field: value}
        write(audit, [lines(audit)[0], json.dumps(row), *lines(audit)[2:]])
        with pytest.raises(InputError, match=r"audit\.jsonl:2 is damaged"):
            audit.rows()
        write(audit, [lines(audit)[0]])
        audit.append("promote", "v2", "v1", "better")


def test_a_pointer_of_another_format_is_not_read_as_empty(tmp_path: Path) -> None:
    (tmp_path / "current.json").write_text('{"format": 2, "history": []}')
    with pytest.raises(InputError, match=r"has format 2, and this version reads 1: update tacit"):
        Registry(tmp_path).current()


def test_a_version_that_was_never_current_is_looked_at_too(tmp_path: Path) -> None:
    registry = of_two(tmp_path)
    (tmp_path / "three").mkdir()
    (tmp_path / "three" / "policy.json").write_text("{}")
    version = registry.add(tmp_path / "three")
    assert registry.faults() == []
    (registry.path(version) / "policy.json").write_text("[]")
    assert any(version in fault for fault in registry.faults())


def test_a_report_that_was_changed_shows(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    name = registry.keep_report(b"{}")
    registry.audit.append("gate", "v", None, "better", report=name)
    assert registry.faults() == []
    (tmp_path / "reports" / f"{name}.json").write_text("{ }")
    assert any("report of row 1" in fault for fault in registry.faults())
