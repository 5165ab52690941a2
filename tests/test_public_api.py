"""The Python blocks of README.md run as printed, and ``import tacit`` stays cheap."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from places import ROOT
from tiny_run import DEMO, TINY, save_ml100k

import tacit
from tacit import pipelines, rerank
from tacit.metrics.intervals import Estimate
from tacit.metrics.lists import ndcg
from tacit.types import InputError

README = ROOT / "README.md"


@pytest.fixture
def world(tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with everything that the blocks name: a trained run, and ratings."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "redial-seed0").symlink_to(tiny_run)
    save_ml100k(tmp_path / "data" / "ml-100k")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_blocks_of_the_readme_run_as_printed(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 3
    names: dict[str, object] = {"__name__": "blocks"}
    for number, block in enumerate(blocks, 1):
        exec(compile(block, f"{README.name}, block {number}", "exec"), names)
        assert capsys.readouterr().out.strip(), f"block {number} prints nothing"


def test_import_is_lazy() -> None:
    code = (
        "import sys, tacit; from tacit import rerank, pipelines, metrics; dir(tacit); tacit.__version__\n"
        "slow = {'torch', 'transformers', 'polars', 'scipy', 'sklearn', 'numpy', 'omegaconf'} & set(sys.modules)\n"
        "assert not slow, slow\n"
        "tacit.Turn('user', 'hello'); tacit.metrics.ranks\n"
        "assert not {'torch', 'transformers', 'polars'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_public_name_is_there_and_no_other() -> None:
    assert all(getattr(tacit, name) is not None for name in tacit.__all__)
    assert dir(tacit) == tacit.__all__
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = tacit.nothing  # type: ignore[attr-defined]


def test_lists_stays_a_function_whatever_is_imported_first() -> None:
    """A folder has the name of the function; its import must not take the function's place."""
    code = (
        "import tacit.rerank.lists.lists; from tacit.rerank.lists.lists import Lists\n"
        "from tacit import rerank; assert callable(rerank.lists), rerank.lists\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- a recommender --------------------------------------------------------------------------------------------------


def test_a_conversation_is_remembered_and_its_draws_are_those_of_its_seed(tiny_run: Path) -> None:
    recommender = tacit.load(tiny_run)
    assert recommender.version.startswith("ppo")
    chats = [recommender.start(seed=3), recommender.start(seed=3)]
    replies = [[chat.say("hello"), chat.say("a western, please")] for chat in chats]
    assert replies[0] == replies[1]
    assert [turn.speaker for turn in chats[0].dialogue.turns] == ["user", "agent", "user", "agent"]
    assert chats[0].dialogue.turns[1].text == replies[0][0].text
    assert tacit.load(tiny_run, stage="sft").version.startswith("sft")


def test_titles_and_propensities_go_with_the_slate(tiny_run: Path) -> None:
    recommender = tacit.load(tiny_run)
    chat = recommender.start()
    replies = [chat.say("something good to watch, please") for _ in range(8)]
    assert any(reply.slate for reply in replies)
    for reply in replies:
        items = reply.slate.items if reply.slate else ()
        assert reply.titles == tuple(recommender.catalog[item].title for item in items)
        assert len(reply.propensities) == len(items) and all(0 < p <= 1 for p in reply.propensities)


def test_what_is_said_is_linked_to_the_catalogue(tiny_run: Path) -> None:
    recommender = tacit.load(tiny_run)
    film = recommender.catalog.items[5]
    assert recommender.user_turn(f"I saw {film.title} twice: {film.title}!").mentions == (film.id,)


def test_new_items_can_be_recommended_at_once(tiny_run: Path) -> None:
    recommender = tacit.load(tiny_run)
    known, new = recommender.catalog.items[0], tacit.Item("new", "A Film of Tomorrow (2031)", "A Film of Tomorrow")
    assert len(recommender.extended([known, new]).catalog) == len(recommender.catalog) + 1


def test_a_reward_scores_each_agent_turn_by_what_came_before(tiny_run: Path) -> None:
    reward = tacit.load_reward(tiny_run)
    user, agent = tacit.Turn("user", "hello"), tacit.Turn("agent", "Hi! What do you like?")
    dialogue = tacit.Dialogue("d", "u", (user, agent, user, agent))
    scores = reward.score([dialogue])
    assert [(score.dialogue, score.turn) for score in scores] == [("d", 1), ("d", 3)]
    assert all("relevance" not in score.channels and "engagement" in score.channels for score in scores)
    shorter = reward.score([dialogue.before(2)])
    assert shorter[0].reward == pytest.approx(scores[0].reward, abs=1e-4)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no finished"):
        tacit.load(tmp_path)
    with pytest.raises(InputError, match="run `tacit reward"):
        tacit.load_reward(tmp_path)


# --- a reranker -----------------------------------------------------------------------------------------------------


def test_a_reranker_is_measured_as_its_scores_say(tmp_path: Path) -> None:
    ratings = rerank.load_ratings("ml-100k", save_ml100k(tmp_path / "ml"))
    split, test, card = rerank.lists(ratings, variant="clean", length=8, consumed=3)
    assert test.lists.items.shape[1] == 8 and card["variant"] == "clean"
    model = rerank.train("dlcm", split, ratings.items, seed=1, epochs=2, batch=32)
    again = rerank.train("dlcm", split, ratings.items, seed=1, epochs=2, batch=32)
    scores = model.scores(test.lists)
    np.testing.assert_array_equal(scores, again.scores(test.lists))
    best_first = np.take_along_axis(test.lists.labels, np.argsort(-scores, axis=1, kind="stable"), axis=1)
    found = rerank.measure(model, test)["NDCG@5"]
    assert found.value == pytest.approx(ndcg(best_first, 5).mean()) and found.low <= found.value <= found.high
    assert len(model.result.curve) == 2


def test_rerankers_of_texts_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    ratings = rerank.load_ratings("ml-100k", save_ml100k(tmp_path / "ml"))
    split, _, _ = rerank.lists(ratings)
    for name in ("dlcm_match", "bert"):
        with pytest.raises(InputError, match=name):
            rerank.train(name, split, ratings.items)
    with pytest.raises(InputError, match="choose one of ml-1m"):
        rerank.load_ratings("netflix", tmp_path)


def test_an_estimate_reads_as_a_value_with_its_interval() -> None:
    assert str(Estimate(0.5567, 0.4912, 0.62, 95)) == "0.557 [0.491, 0.620], n = 95"


# --- a pipeline -----------------------------------------------------------------------------------------------------


def test_a_pipeline_runs_from_typed_settings(tmp_path: Path) -> None:
    config = pipelines.load_config(DEMO, TINY)
    assert isinstance(config, pipelines.RunConfig)
    config.policy.window = 3
    with pytest.raises(InputError, match="name the run's folder"):
        config.out = ""
        pipelines.run(config)
    with pytest.raises(InputError, match="ppo needs the stage sft"):
        pipelines.run(config, out=tmp_path / "mine", only="ppo")
    assert "window: 3" in (tmp_path / "mine" / "config.yaml").read_text()


def test_typed_settings_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    config = pipelines.RerankConfig(rankers=["dlcm_match"])
    config.knowledge.components = 0
    with pytest.raises(InputError, match="dlcm_match compares users and items"):
        pipelines.run(config, out=tmp_path / "mine")
    assert not (tmp_path / "mine").exists()
