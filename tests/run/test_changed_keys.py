"""Settings of runs and config files made before: under today's names, left out, or refused in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from tacit.pipelines.rerank import load_config
from tacit.rerank.stages.config import RerankConfig
from tacit.run.changed_keys import current
from tacit.run.config import differences, dump
from tacit.types import InputError


def folder(path: Path, **said: str) -> Path:
    """A run folder whose settings were saved before the keys changed; ``said`` are values of what is gone."""
    axes, users, read, pairs = (
        said.get("axes", "collaborative"),
        said.get("users", "0"),
        said.get("read", "greedy"),
        said.get("pairs", "best_worst"),
    )
    (path / "config.yaml").write_text(
        "system: rerank\nlists: {variant: literal}\n"
        f"knowledge: {{mode: literal, axes: {axes}, components: 4}}\n"
        f"align: {{judge: model, judged_users: {users}, pairs: {pairs}, ppo: {{read: {read}, users: 8}}}}\n"
    )
    return path


def test_a_run_folder_of_before_opens_under_todays_names(tmp_path: Path) -> None:
    config = load_config(folder(tmp_path))
    assert (config.lists.variant, config.knowledge.mode) == ("kar_lists", "kar_input")
    assert (
        config.align.preference_source == "model" and config.knowledge.components == 4 and config.align.ppo.users == 8
    )


def test_to_go_on_with_it_changes_no_setting(tmp_path: Path) -> None:
    """What resume, fork and compare ask: nothing differs that the file says."""
    saved = (folder(tmp_path) / "config.yaml").read_text()
    changed = differences(saved, dump(load_config(tmp_path)))
    assert not [key for key, (old, _) in changed.items() if old is not None]


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ({"axes": "principal"}, "knowledge.axes=principal"),
        ({"users": "20"}, "align.judged_users=20"),
        ({"read": "drawn"}, "align.ppo.read=drawn"),
        ({"pairs": "length_matched"}, "align.pairs=length_matched"),
    ],
)
def test_a_run_that_did_what_is_gone_is_refused_in_one_sentence(tmp_path: Path, said: dict[str, str], key: str) -> None:
    with pytest.raises(InputError, match=f"made with {key}, which is gone.*run.json names the commit"):
        load_config(folder(tmp_path, **said))


def test_a_config_file_of_before_opens_but_for_what_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "films.yaml"
    path.write_text("system: rerank\nlists: {variant: literal}\nknowledge: {mode: literal}\n")
    config = load_config(path, ["align.judge=nearness"])
    assert (config.lists.variant, config.align.preference_source) == ("kar_lists", "nearness")
    path.write_text("system: rerank\nknowledge: {axes: collaborative}\n")
    with pytest.raises(InputError, match=r"films.yaml: 'knowledge.axes' is gone \(.*\): leave it out"):
        load_config(path)
    with pytest.raises(InputError, match=r"override 'align.ppo.read=greedy': 'align.ppo.read' is gone"):
        load_config(folder(tmp_path), ["align.ppo.read=greedy"])
    with pytest.raises(InputError, match=r"'knowledge.mode' can no longer be 'factors'"):
        load_config(folder(tmp_path), ["knowledge.mode=factors"])


def test_a_key_under_both_names_is_refused() -> None:
    with pytest.raises(InputError, match=r"'align\.judge' is now 'align\.preference_source', which is there too"):
        current({"align": {"judge": "model", "preference_source": "lists"}}, "c.yaml", saved=False)


def test_todays_settings_are_left_as_they_are() -> None:
    values = {"align": {"preference_source": "model", "ppo": {"users": 3}}, "knowledge": "no section", "seed": 1}
    assert current(values, "c.yaml", saved=True) == current(values, "c.yaml", saved=False) == values
    config = dump(RerankConfig())
    assert differences(config, config) == {}
