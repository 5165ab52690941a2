"""The stages of a run, whatever they do: their order, what is skipped, what is required, which settings may change."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from tacit.run.folder import Run
from tacit.run.stages import StageTable, load_settings, settle
from tacit.types import InputError


@dataclass
class Section:
    size: int = 1


@dataclass
class Config:
    first: Section = field(default_factory=Section)
    last: Section = field(default_factory=Section)
    seed: int = 0
    device: str = "cpu"
    dtype: str = "float32"
    threads: int = 0
    out: str = ""


def table(done: list[str]) -> StageTable[Config]:
    """Stages that write their names into ``done``; ``extra`` is made by the command of ``last``."""

    def stage(name: str):  # type: ignore[no-untyped-def]
        def do(run: Run, config: Config, device: str) -> None:
            done.append(f"{name} on {device}")
            run.stage(name).finish({})

        return do

    names = ("prepare", "middle", "extra", "last")
    reads = {"first": "prepare", "last": "last"}
    return StageTable("tacit", {n: stage(n) for n in names}, reads, free=("out", "device"), part_of={"extra": "last"})


def test_all_stages_in_order_then_none_again(tmp_path: Path) -> None:
    done: list[str] = []
    stages, config = table(done), Config(out=str(tmp_path / "run"))
    run = stages.open(config)
    stages.do(run, config, None)
    assert done == ["prepare on cpu", "middle on cpu", "extra on cpu", "last on cpu"]
    stages.require_before(run, "report")
    page = run.folder / "report.html"
    page.write_text("told")
    stages.do(run, config, None)
    assert len(done) == 4 and page.exists()
    (run.folder / "last" / "done.json").unlink()
    stages.do(run, config, None)
    assert done[4:] == ["last on cpu"] and not page.exists()


def test_one_stage_brings_the_first_and_what_has_no_command(tmp_path: Path) -> None:
    done: list[str] = []
    stages, config = table(done), Config(out=str(tmp_path / "run"))
    run = stages.open(config)
    with pytest.raises(InputError, match=r"extra needs the stage middle of .*run: run `tacit middle CONFIG` first\."):
        stages.do(run, config, "last")
    stages.do(run, config, "middle")
    with pytest.raises(InputError, match=r"report needs the stage extra of .*run: run `tacit last CONFIG` first\."):
        stages.require_before(run, "report")
    stages.do(run, config, "report")
    assert done == ["prepare on cpu", "middle on cpu"]
    stages.without("extra").do(run, config, "last")
    assert done[2:] == ["last on cpu"]


def test_a_section_may_change_until_its_stage_has_begun(tmp_path: Path) -> None:
    stages, config = table([]), Config(out=str(tmp_path / "run"))
    stages.do(stages.open(config), config, "middle")
    stages.open(replace(config, last=Section(2), device="auto"))
    with pytest.raises(InputError, match=r"made with first\.size=1 and you ask for first\.size=2"):
        stages.open(replace(config, first=Section(2), last=Section(2)))


def test_settings_come_from_a_file_or_a_run_folder(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("seed: 4\n")
    assert load_settings(Config, file).out == "runs/mine-seed4"
    assert load_settings(Config, file, ["out=there"]).out == "there"
    config = load_settings(Config, file, [f"out={tmp_path / 'run'}"])
    table([]).open(config)
    (tmp_path / "run").rename(tmp_path / "moved")
    assert load_settings(Config, tmp_path / "moved") == replace(config, out=str(tmp_path / "moved"))
    assert load_settings(Config, tmp_path / "moved", ["out=there"]).out == "there"
    with pytest.raises(InputError, match=r"dtype=int8: choose one of auto, float32, bfloat16"):
        load_settings(Config, file, ["dtype=int8"])


def test_the_dtype_that_was_chosen_stays_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where bfloat16 is fast, and then on another one."""
    stages, config = table([]), Config(dtype="auto", out=str(tmp_path / "run"))
    monkeypatch.setattr("tacit.run.stages.choose_dtype", lambda device, width: ("bfloat16", "it was tried"))
    begun = stages.settled(config)
    assert begun.dtype == "bfloat16"
    stages.open(begun)
    monkeypatch.setattr("tacit.run.stages.choose_dtype", lambda device, width: ("float32", "it was tried"))
    assert stages.settled(config) == begun  # asked for by the config again
    assert load_settings(Config, tmp_path / "run").dtype == "bfloat16"  # or by the folder
    assert stages.settled(replace(config, out=str(tmp_path / "other"))).dtype == "float32"
    with pytest.raises(InputError, match=r"made with dtype=bfloat16 and you ask for dtype=float32"):
        stages.open(stages.settled(replace(config, dtype="float32")))
    with pytest.raises(InputError, match="dtype=int8"):
        stages.settled(replace(config, dtype="int8"))


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="device=nowhere cannot be used here"):
        settle("nowhere", 0)
    assert settle("cpu", 0) == "cpu"
