"""BM25, dense retrieval, the sequence models and the titles of a server: by hand."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from servers import Reply, Server, message, serving
from typer.testing import CliRunner

from tacit.catalog import Catalog
from tacit.cli.main import app
from tacit.dialogue.evaluate.baselines import bm25, dense, llm, sequences
from tacit.dialogue.evaluate.baselines.choose import Validation, best
from tacit.dialogue.evaluate.baselines.counts import Popularity
from tacit.referee.read import read_run
from tacit.types import Dialogue, InputError, Item, Slate, Turn

FILMS = Catalog(
    [
        Item("h", "Heat (1995)", "Heat (1995). Crime with robbers."),
        Item("a", "Airplane! (1980)", "Airplane! (1980). Comedy on a plane."),
        Item("n", "Notting Hill (1999)", "Notting Hill (1999). Romance, comedy."),
        Item("t", "The Thing (1982)", "The Thing (1982). Horror in the ice."),
        Item("t2", "The Thing (2011)", "The Thing (2011). Horror again."),
    ],
    [5, 3, 2, 4, 1],
)


def user(text: str, *items: str) -> Turn:
    return Turn("user", text, mentions=items)


def agent(*items: str) -> Turn:
    return Turn("agent", " ".join(items), mentions=items, slate=Slate(items) if items else None)


def asks(*texts: str) -> Dialogue:
    return Dialogue("d", "u", tuple(user(text) for text in texts))


def test_bm25_by_hand() -> None:
    """Documents "a a b" and "b c c c", the query "a c": idf of both is log(1 + 1.5 / 1.5), |d| 3 and 4, mean 3.5."""
    ranker = bm25.BM25([{"a": 2, "b": 1}, {"b": 1, "c": 3}], 0, bm25.BM25Config(k1=1.2, b=0.75))
    idf = np.log(2.0)
    first = idf * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 3 / 3.5))
    second = idf * 3 * 2.2 / (3 + 1.2 * (0.25 + 0.75 * 4 / 3.5))
    assert ranker.scores([asks("A?", "c")])[0] == pytest.approx([first, second], rel=1e-6)
    assert ranker.scores([asks("nothing known"), Dialogue("e", "u", ())]).tolist() == [[0, 0], [0, 0]]


def test_bm25_reads_the_last_messages_and_what_was_said_before_an_item() -> None:
    texts = bm25.BM25(bm25.item_words(FILMS), 1, bm25.BM25Config())
    assert texts.scores([asks("a crime film", "or a comedy on a plane")])[0].argmax() == 1
    train = [Dialogue("1", "v", (user("something frosty"), agent("t")))]
    asking = bm25.BM25(bm25.asking_words(FILMS, train, 2), 1, bm25.BM25Config())
    assert asking.scores([asks("frosty")])[0].argmax() == 3
    assert len(bm25.variants(FILMS, train, bm25.BM25Config())) == 9


class Encoder:
    """A text is which of four words it holds."""

    def encode(self, texts: list[str], what: str = "") -> torch.Tensor:
        rows = [[float(word in text) for word in ("Crime", "Comedy", "Romance", "Horror")] for text in texts]
        return torch.nn.functional.normalize(torch.tensor(rows))


def test_dense_adds_what_named_items_are_like() -> None:
    encoder = Encoder()
    items = encoder.encode([item.text for item in FILMS])
    plain, named = (dense.Dense(FILMS, encoder, items, 2, weight) for weight in (0.0, 3.0))  # type: ignore[arg-type]
    context = Dialogue("d", "u", (user("Romance please, I liked Heat", "h"),))
    assert plain.scores([context])[0].tolist() == pytest.approx([0, 0, 1, 0, 0])
    assert named.scores([context])[0].tolist() == pytest.approx([3, 0, 1, 0, 0])


SMALL = sequences.SequenceConfig(
    width=16, layers=1, heads=2, epochs=42, patience=14, batch=16, dropout=0.0, lr=0.01, look_every=3
)


@pytest.mark.parametrize("kind", ["sasrec", "bert4rec"])
def test_a_sequence_model_learns_what_follows_what(kind: sequences.Kind) -> None:
    """a is always answered with n, h with t; popularity knows neither."""
    pairs = [("a", "n"), ("h", "t")] * 40
    train = [Dialogue(str(k), "u", (user("", one), agent(other))) for k, (one, other) in enumerate(pairs)]
    catalog = FILMS.with_counts(train)
    validate = Validation.of(train[:10], catalog)
    ranker, looks = sequences.train(kind, catalog, train, SMALL, validate, seed=1)
    asked = [Dialogue("x", "u", (user("", item),)) for item in ("a", "h")] + [Dialogue("y", "u", ())]
    scores = ranker.scores(asked)
    assert scores.shape == (3, 5) and scores[:2].argmax(axis=1).tolist() == [2, 3]
    assert max(looks.values()) == 1.0 and best(looks) in looks
    again, _ = sequences.train(kind, catalog, train, SMALL, validate, seed=1)
    assert np.allclose(again.scores(asked), scores, atol=1e-5)
    long = Dialogue("z", "u", tuple(user("", item) for item in "ahnt" * 30))
    alone = ranker.scores([long])[0]
    assert np.allclose(ranker.scores([long, asked[0]])[0], alone, atol=1e-4)  # padding is not read


def test_sasrec_does_not_see_what_comes_later() -> None:
    network = sequences.SequenceNetwork(FILMS.counts, True, SMALL).eval()
    one, other = (network.states(torch.tensor([[5, 0, last]])) for last in (1, 2))
    assert torch.allclose(one[:, :2], other[:, :2], atol=1e-6) and not torch.allclose(one[:, 2], other[:, 2])


def test_validation_counts_new_items_masked() -> None:
    """Of n (new, after h) popularity ranks t and a before it, h being masked: 1 / log2(4)."""
    valid = [Dialogue("1", "u", (user("", "h"), agent("n", "h")))]
    assert Validation.of(valid, FILMS)(Popularity(FILMS).scores) == pytest.approx(1 / 2)
    with pytest.raises(InputError, match="no validation dialogue"):
        Validation.of([Dialogue("1", "u", (agent("n"),))], FILMS)


@pytest.mark.parametrize(
    ("answer", "found", "lost"),
    [
        ("1. Heat (1995)\n2) Notting Hill\n- airplane (1980)", [0, 2, 1], 0),
        ("The Thing", [3], 0),  # of two films the one that is named more often
        ("The Thing (2011)\nThe Thing (2011)", [4], 0),
        ("Noting Hill (1999)\nSome Other Film (2001)\n\n", [2], 1),
        ("**Heat**", [0], 0),
        ("1. **Heat** (1995) - a heist\nHeat (1995): a heist\nagent: Heat (1995)\n#1 Heat (1995)", [0], 0),
        ("Heat (1995), The Thing (2011)", [0, 4], 0),  # in one line
        ("Thing, The (2011)\nThing, The", [4, 3], 0),  # as MovieLens writes it
        ("Dead Heat (1988)\nHeat wave (2009)\nin the heat of it", [], 3),
        ("", [], 0),
        ("!!!", [], 1),
    ],
)
def test_titles_are_linked(answer: str, found: list[int], lost: int) -> None:
    assert llm.TitleLinker(FILMS, 92.0).linked(answer) == (found, lost)


@pytest.mark.parametrize("line", ["{}", "1. {}", "12) {}", "- {}", "**{}**", "3. **{}**"])
@pytest.mark.parametrize("title", ["(500) Days of Summer (2009)", "3:10 to Yuma (2007)", "11:14 (2003)", "-30- (1959)"])
def test_a_title_that_begins_like_a_numbered_line_is_linked(title: str, line: str) -> None:
    catalog = Catalog([*FILMS.items, Item("x", title, title)])
    linker = llm.TitleLinker(catalog, 92.0)
    assert linker.linked(line.format(title)) == ([5], 0)
    assert linker.linked(line.format(title.partition(" (")[0] if title[0] != "(" else title)) == ([5], 0)
    assert linker.linked("13.") == ([], 0)  # a number alone is no title


def test_what_links_to_nothing_is_told() -> None:
    """Two answers: two titles and one invention; a refusal in two lines."""
    answers = {"one": "1. Heat (1995)\n2. Invented Film (2042)\n3. The Thing", "two": "Sorry.\nI know none."}
    told = llm.LLMTitles(FILMS, answers, llm.LLMConfig("http://x", "m")).told()
    assert told == "2 titles are in the catalogue, 3 lines link to nothing, 1 answers name nothing"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with serving() as running:
        yield running


def titles(body: dict[str, Any], number: int) -> Reply:
    reply = message(content="1. Heat (1995)\n2. The Thing (1982)")
    return Reply({**reply.body, "usage": {"prompt_tokens": 100, "completion_tokens": 10}})  # type: ignore[dict-item]


def test_a_server_is_asked_once_for_each_context(
    tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.answer = titles
    config = llm.LLMConfig(server.url, "m", price_in=2.0, price_out=30.0)
    file, asked = tmp_path / "answers.jsonl", [asks("one"), asks("two"), asks("one")]
    with caplog.at_level("INFO", logger="tacit"):
        answers = llm.ask(file, asked, config, 0)
    assert len(server.asked) == 2 and len(file.read_text().splitlines()) == 2
    assert "200 tokens read, 20 written: cost 0.0010" in caplog.text  # (200 · 2 + 20 · 30) / 10⁶
    assert llm.LLMTitles(FILMS, answers, config).scores(asked)[0].tolist() == [2, 0, 0, 1, 0]
    file.write_text(file.read_text()[:-20])  # a process that was killed while it wrote
    llm.ask(file, asked, config, 0)
    assert len(server.asked) == 3 and len(llm._known(file)) == 2
    llm.ask(file, asked, llm.LLMConfig(server.url, "other"), 0)
    assert len(server.asked) == 5  # another model's answers are others


def refuses(*which: int) -> Callable[[dict[str, Any], int], Reply]:
    """The requests of these numbers are filtered, by turns in each way that servers have."""

    def answer(body: dict[str, Any], number: int) -> Reply:
        if number not in which:
            return titles(body, number)
        ways = [
            message(content="", refusal="I cannot help with that."),
            Reply({"error": {"code": "content_filter", "message": "filtered"}}, 400),
        ]
        return ways[which.index(number) % 2]

    return answer


def test_a_refused_prompt_names_nothing(tmp_path: Path, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    server.answer = refuses(0, 3)
    asked = [asks(f"text {n}") for n in range(20)]
    config = llm.LLMConfig(server.url, "m", concurrency=1)
    answers = llm.ask(tmp_path / "answers.jsonl", asked, config, 0)
    assert sum(not answer for answer in answers.values()) == 2
    assert "2 of 20 prompts were refused" in caplog.text
    scores = llm.LLMTitles(FILMS, answers, config).scores(asked)
    assert (~scores.any(axis=1)).sum() == 2
    server.answer = refuses(*range(20, 23))
    with pytest.raises(InputError, match="refused 3 of 20 prompts: take another model"):
        llm.ask(tmp_path / "other.jsonl", asked, config, 0)


def test_a_server_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"needs llm\.url \(up to /v1\) and llm\.model"):
        llm.ask(tmp_path / "x", [], llm.LLMConfig(), 0)
    with pytest.raises(InputError, match=r"llm\.url='x' is no address"):
        llm.ask(tmp_path / "x", [asks("one")], llm.LLMConfig("x", "m"), 0)


def test_the_command_writes_a_run_file(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("data: {name: synthetic, limit: 0.3}\n")
    words = ["baseline", "bm25", str(config), f"out={tmp_path / 'run'}", "bm25.k1=0.9"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0, told.output
    run = read_run(tmp_path / "run" / "baselines" / "bm25")
    assert run.system == "bm25" and run.dataset == "synthetic" and run.ranked
    assert run.made["settings"] == {"k1": 0.9, "b": 0.75}
    validation = run.made["validation"]
    assert isinstance(validation, dict) and run.made["chosen"] == best(validation) and len(validation) == 9
    for wrong in (["baseline", "bm26", str(config)], [*words, "bm25.b=2"], [*words, "bm25.c=2"]):
        told = CliRunner().invoke(app, wrong)
        assert told.exit_code == 2, told.output


def test_answers_of_a_server_that_counts_nothing_are_told() -> None:
    spent = llm.Spent()
    for usage in (None, {"prompt_tokens": 3}, {"prompt_tokens": 3, "completion_tokens": 4}):
        spent.add(usage)
    assert (spent.read, spent.written, spent.untold) == (3, 4, 2)
    assert "2 answers without a count" in spent.told(llm.LLMConfig())
    assert json.dumps(spent.cost(llm.LLMConfig(price_in=1e6, price_out=1e6))) == "7.0"
