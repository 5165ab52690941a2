"""The command line from outside, and one whole run: straight, killed and continued, and used."""

from __future__ import annotations

import json
import multiprocessing
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tiny_run import DEMO, TINY
from typer.testing import CliRunner, Result

from tacit.cli.main import app
from tacit.run.version import VERSION


def call(*words: str, **more: str) -> Result:
    return CliRunner().invoke(app, list(words), **more)


def refused(*words: str) -> str:
    """stderr of a command that must end with exit code 2 and one sentence."""
    result = call(*words)
    assert result.exit_code == 2, result.output
    assert result.stderr.startswith("tacit: ") and result.stderr.count("\n") == 1, result.stderr
    assert result.stdout == ""
    return result.stderr


# --- bad input ------------------------------------------------------------------------------------------------------


def test_unknown_keys_wrong_types_and_missing_files_are_one_sentence(tmp_path: Path) -> None:
    out = f"out={tmp_path / 'r'}"
    assert "'ppo.lrr'; did you mean 'ppo.lr'?" in refused("run", DEMO, out, "ppo.lrr=1")
    assert "'ppo.clip' must be a number" in refused("ppo", DEMO, out, "ppo.clip=wide")
    assert "no such config file" in refused("run", str(tmp_path / "no.yaml"))
    assert "data.path" in refused("run", DEMO, out + "2", "data.name=redial")
    assert "dtype=float8" in refused("run", DEMO, out, "dtype=float8")
    assert "device=cuda:99" in refused("run", DEMO, out, "device=cuda:99")
    assert "data.name" in refused("run", DEMO, out + "3", "data.name=netflix")


GOOD_LINE = {"id": "d", "user": "u", "turns": [{"speaker": "user", "text": "hi", "mentions": ["a"]}]}
GOOD_LINE |= {"version": 1}
BAD_FILES = {
    "no dialogues": (b"\n", "holds no dialogues"),
    "unknown item": (json.dumps(GOOD_LINE).replace('"a"', '"z"').encode(), "item 'z', which is not in the catalogue"),
    "no user turn": (json.dumps(GOOD_LINE).replace('"user", "text"', '"agent", "text"').encode(), "no user turn"),
    "not UTF-8": (json.dumps(GOOD_LINE).encode() + b"\n\xff", "train.jsonl:2: not UTF-8 at byte 0"),
}


@pytest.mark.parametrize("fault", BAD_FILES)
def test_bad_data_is_one_sentence_and_nothing_is_half_written(fault: str, tmp_path: Path) -> None:
    content, said = BAD_FILES[fault]
    (tmp_path / "train.jsonl").write_bytes(content)
    (tmp_path / "items.jsonl").write_text(json.dumps({"id": "a", "title": "A"}) + "\n")
    assert said in refused("run", DEMO, f"out={tmp_path / 'r'}", "data.name=logs", f"data.path={tmp_path}")
    left = sorted(str(path.relative_to(tmp_path / "r")) for path in (tmp_path / "r").rglob("*") if path.is_file())
    assert left == [".lock", "config.yaml", "run.json"]


def test_a_stage_out_of_order_says_what_to_run_first(tmp_path: Path) -> None:
    assert "report needs the stage prepare" in refused("report", DEMO, f"out={tmp_path / 'r'}")
    assert "holds no finished" in refused("chat", str(tmp_path))
    assert "tacit reward" in refused("score", str(tmp_path), "x.jsonl")


def test_data_check_lists_bad_lines_and_exits_1(tmp_path: Path) -> None:
    good = {"version": 1, "id": "a", "user": "u", "turns": [{"speaker": "user", "text": "hello"}]}
    file = tmp_path / "d.jsonl"
    file.write_text(json.dumps(good) + "\n{broken\n" + json.dumps({**good, "id": 3}) + "\n")
    result = call("data", "check", str(file))
    assert result.exit_code == 1
    assert [line.split(": ")[0] for line in result.stdout.splitlines()] == [f"{file}:2", f"{file}:3"]
    assert "3 lines, 2 bad" in result.stderr
    file.write_text(json.dumps(good) + "\n")
    assert call("data", "check", str(file)).exit_code == 0
    assert "no such file" in refused("data", "check", str(tmp_path / "gone.jsonl"))


def test_data_convert_and_get_say_what_they_lack(tmp_path: Path) -> None:
    assert "--items" in refused("data", "convert", "openai", str(tmp_path / "x"), str(tmp_path / "out"))
    assert "unknown" in refused("data", "get", "netflix", str(tmp_path))


def test_every_stage_with_a_command_has_one_and_nothing_else_does() -> None:
    from tacit.cli.commands.pipelines import STAGES
    from tacit.cli.commands.rerank import STAGES as RERANK_STAGES
    from tacit.pipelines import dialogue, rerank

    assert list(STAGES) == [name for name in dialogue.STAGES.functions if name not in dialogue.STAGES.part_of]
    assert list(RERANK_STAGES) == list(rerank.STAGES.functions)


def test_the_version_is_told_and_completion_can_be_installed() -> None:
    assert call("--version").stdout == f"tacit {VERSION}\n"
    assert "--install-completion" in call("--help").stdout


@pytest.mark.parametrize("words", [[], ["run"], ["sft"], ["chat"], ["score"], ["inspect", "mask"], ["data", "check"]])
def test_help_is_there(words: list[str]) -> None:
    result = call(*words, "--help")
    assert result.exit_code == 0
    assert "Example" in result.stdout or not words or "tacit demo" in result.stdout


def test_help_does_not_wait_for_torch_and_starts_offline() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from tacit.cli.main import app, start\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0; start()\n"
        "import os; assert os.environ['HF_HUB_OFFLINE'] == '1' == os.environ['HF_HUB_DISABLE_TELEMETRY']\n"
        "assert not {'torch', 'transformers', 'polars'} & set(sys.modules)\n"
        "from tacit.run.network import allow_download; import huggingface_hub.constants as c\n"
        "assert c.HF_HUB_OFFLINE; allow_download('policy.base', '/'); assert c.HF_HUB_OFFLINE\n"
        "allow_download('policy.base', 'somebody/some-model'); assert not c.HF_HUB_OFFLINE\n"
    )
    clean = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    done = subprocess.run([sys.executable, "-c", code], env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "somebody/some-model (policy.base) is not on this machine" in done.stderr


def test_every_config_loads_and_the_cpu_one_undoes_the_big_model() -> None:
    from tacit.pipelines.dialogue import load_config
    from tacit.pipelines.rerank import is_rerank

    folder = Path(DEMO).parent
    parts = ("base.yaml", "on-cpu.yaml", "smoke.yaml", "loop.yaml", "outcomes.yaml")
    configs = [path for path in folder.rglob("*.yaml") if path.name not in parts and not is_rerank(path)]
    assert len(configs) > 12
    for path in configs:
        config = load_config(path)
        if path.parent.name == "paper":
            stated = (config.policy.base, config.ppo.epochs, config.ppo.lr, config.ppo.clip, config.ppo.trajectories)
            assert stated == ("gpt2-medium", 5, 5e-6, 0.2, 128)
            small = load_config(path, [str(folder / "paper" / "on-cpu.yaml")])
            usual = load_config(folder / f"{config.data.name}.yaml")
            usual.ppo.reward_norm, usual.ppo.sft_kl_weight, usual.ppo.slate_group = "conversation", 0.0, 0
            usual.ppo.terms_lr = 3e-2  # the paper sets nothing apart by data set, as OpenDialKG's own config does
            assert (small.policy.base, small.sft.lm_lr, small.ppo) == ("small", usual.sft.lm_lr, usual.ppo)


def test_defaults_are_no_larger_than_the_shipped_configs_and_fit_own_logs() -> None:
    from tacit.pipelines.dialogue import RunConfig, load_config

    folder = Path(DEMO).parent
    defaults, logs = RunConfig(), load_config(folder / "logs.yaml", ["data.path=x"])
    shipped = [load_config(folder / name) for name in ("redial.yaml", "opendialkg.yaml")]
    for config in (defaults, logs):
        for size in ("sft.epochs", "ppo.iterations", "ppo.trajectories", "ppo.max_turns", "evaluate.users"):
            section, key = size.split(".")
            assert getattr(getattr(config, section), key) <= max(getattr(getattr(c, section), key) for c in shipped)
    assert logs.data.name == "logs" and logs.sft.lm_lr is None


# --- a whole run ----------------------------------------------------------------------------------------------------


@pytest.fixture
def finished(tiny_run: Path) -> Path:
    return tiny_run


def state(folder: Path) -> dict[str, bytes]:
    """Everything a run computed: weights, optimiser and generator states, metrics, logs, numbers."""
    kinds = ("*.safetensors", "metrics.jsonl", "state.json", "results.json", "rows.json", "validation.json")
    return {str(path.relative_to(folder)): path.read_bytes() for kind in kinds for path in folder.rglob(kind)}


def test_a_run_killed_in_every_stage_ends_bit_for_bit_the_same(finished: Path, tmp_path: Path) -> None:
    from tacit.pipelines.dialogue import load_config, run_pipeline

    folder = tmp_path / "killed"
    config = load_config(DEMO, [f"out={folder}", *TINY])
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tacit.pipelines.dialogue"])
    chance = random.Random(5)
    for marker in ("sft/checkpoints/step*", "reward/logs/*", "ppo/rollouts/00002*", "evaluate/ranks/*", ""):
        child = context.Process(target=run_pipeline, args=(config,))
        child.start()
        while child.is_alive() and not (marker and list(folder.glob(marker))):
            time.sleep(0.01)
        if marker:
            time.sleep(chance.uniform(0.0, 0.2))
            child.kill()
        child.join()
    assert child.exitcode == 0
    ours, theirs = state(folder), state(finished)
    assert sorted(ours) == sorted(theirs)
    assert sorted(name for name in theirs if ours[name] != theirs[name]) == []


def test_a_run_tells_what_was_settled_and_what_was_cut(finished: Path) -> None:
    assert "\n  lm_lr: 0.001\n" in (finished / "config.yaml").read_text()
    assert json.loads((finished / "sft" / "done.json").read_text())["lm_lr"] == 0.001
    assert json.loads((finished / "prepare" / "done.json").read_text())["texts_cut"] > 0  # TINY reads few tokens


def test_a_finished_run_is_not_done_again(finished: Path) -> None:
    before = state(finished)
    result = call("run", str(finished))
    assert result.exit_code == 0 and state(finished) == before
    assert "made with seed=0 and you ask for seed=1" in refused("run", str(finished), "seed=1")
    assert "made with ppo.clip" in refused("run", str(finished), "ppo.clip=0.1")


def test_other_evaluation_settings_make_the_evaluation_anew(finished: Path) -> None:
    call("evaluate", str(finished), "evaluate.draws=60")
    assert "draws: 60" in (finished / "config.yaml").read_text()
    assert (finished / "evaluate" / "done.json").exists() and not (finished / "report.html").exists()
    assert call("report", str(finished)).exit_code == 0
    assert (finished / "report.html").exists()


def test_results_prints_tables(finished: Path) -> None:
    result = call("results", str(finished))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("## synthetic\n\n**synthetic-standard** (")
    assert "| popularity |" in result.stdout and "**emulated**" in result.stdout
    assert "give each run once" in refused("results", str(finished), str(finished))
    assert "tacit evaluate" in refused("results", str(finished.parent))


def test_chat_answers_with_titles_of_the_catalogue(finished: Path) -> None:
    result = call("chat", str(finished), input="hello, a good comedy please\nsomething else?\n\n")
    assert result.exit_code == 0
    assert result.stdout.count("agent> ") == 2
    from tacit.catalog import Catalog

    titles = {item.title for item in Catalog.load(finished / "ppo" / "policy" / "catalog.jsonl").items}
    cards = [line[5:] for line in result.stdout.splitlines() if line.startswith("  ")]
    assert set(cards) <= titles
    assert "choose sft or ppo" in refused("chat", str(finished), "--stage", "best")


def test_chat_takes_items_that_training_never_saw(finished: Path, tmp_path: Path) -> None:
    known = (finished / "ppo" / "policy" / "catalog.jsonl").read_text().splitlines()
    new = {"id": "new", "title": "A Film of Tomorrow (2031)", "text": "A Film of Tomorrow (2031). Comedy."}
    (tmp_path / "items.jsonl").write_text(known[0] + "\n" + json.dumps(new) + "\n")
    result = call("chat", str(finished), "--items", str(tmp_path / "items.jsonl"), input="hello\n\n")
    assert result.exit_code == 0, result.output
    assert f"{len(known) + 1} items" in result.stderr
    assert "does not exist" in refused("chat", str(finished), "--items", str(tmp_path / "none.jsonl"))


def test_score_gives_reward_and_channels_of_each_agent_turn(finished: Path, tmp_path: Path) -> None:
    from tacit.data.dialogues import logs, synthetic

    dialogues = synthetic.load_test(0).dialogues[:2]
    logs.write(tmp_path / "d.jsonl", dialogues)
    result = call("score", str(finished), str(tmp_path / "d.jsonl"))
    assert result.exit_code == 0, result.output
    rows = [json.loads(line) for line in result.stdout.splitlines()]
    agent = [(d.id, t) for d in dialogues for t, turn in enumerate(d.turns) if turn.speaker == "agent"]
    assert [(row["dialogue"], row["turn"]) for row in rows] == agent
    assert all(isinstance(row["reward"], float) and "engagement" in row for row in rows)


def test_score_refuses_a_file_with_a_bad_line_before_it_prints_anything(finished: Path, tmp_path: Path) -> None:
    good = {"id": "a", "user": "u", "turns": [{"speaker": "user", "text": "hi"}, {"speaker": "agent", "text": "hello"}]}
    bad = good | {"id": "b", "turns": [{"speaker": "assistant", "text": "hi"}]}
    (tmp_path / "d.jsonl").write_text(f"{json.dumps(good)}\n{json.dumps(bad)}\n")
    result = call("score", str(finished), str(tmp_path / "d.jsonl"))
    assert result.exit_code == 2 and result.stdout == ""
    assert "d.jsonl:2" in result.stderr and "speaker" in result.stderr


def test_inspect_mask_shows_every_part_of_a_turn(finished: Path) -> None:
    result = call("inspect", "mask", str(finished))
    assert result.exit_code == 0, result.output
    assert all(part in result.stdout for part in ("context", "decision", "slate", "reply", "PPO"))
    assert "no training dialogue" in refused("inspect", "mask", str(finished), "--dialogue", "nobody")
