"""Writers: the endpoint against a server on loopback, the local model, and the cache that outlives a kill."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import tiny_writer
import torch

from tacit.rerank.writer.writers import EndpointWriter, LocalWriter, Sampling, prompt_tokens, small_writer
from tacit.text.lm import LMConfig
from tacit.types import InputError

SAMPLING = Sampling(max_tokens=8)


class Server(http.server.ThreadingHTTPServer):
    """Answers with the prompt, the seed and the temperature it was sent, after ``failures`` refusals."""

    failures: list[int]  # statuses still to be sent
    asked: list[tuple[str, str | None]]  # path and authorisation
    answer: object = None  # sent in place of a completion

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers.get("Authorization")))
        if self.server.failures:
            self.send_error(self.server.failures.pop())
            return
        chat = self.path.endswith("/chat/completions")
        prompt = body["messages"][0]["content"] if chat else body["prompt"]
        text = f" {prompt} {body['seed']} {body['temperature']} {body['top_p']} {body['max_tokens']} {body['model']}\n"
        choice = {"message": {"content": text}} if chat else {"text": text}
        sent = json.dumps({"choices": [choice]} if self.server.answer is None else self.server.answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(sent)))
        self.end_headers()
        self.wfile.write(sent)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with Server(("127.0.0.1", 0), Handler) as running:
        running.asked, running.failures = [], []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.mark.parametrize("chat", [True, False])
def test_endpoint_gives_n_texts_in_order(server: Server, chat: bool) -> None:
    writer = EndpointWriter(server.url, "m", SAMPLING, chat=chat)
    texts = writer.write(["one", "two"], n=3, seed=5)
    assert [[text.split()[0] for text in options] for options in texts] == [["one"] * 3, ["two"] * 3]
    assert len({text for options in texts for text in options}) == 6  # six seeds
    assert texts[0][0].split()[2:] == ["1.0", "0.95", "8", "m"]
    assert texts == writer.write(["one", "two"], n=3, seed=5)
    assert server.asked[0] == ("/v1/chat/completions" if chat else "/v1/completions", None)


def test_endpoint_greedy_asks_once(server: Server) -> None:
    texts = EndpointWriter(server.url, "m", SAMPLING).write(["one"], n=3, seed=5, greedy=True)
    assert len(texts[0]) == 3 and len(set(texts[0])) == 1 and texts[0][0].split()[2:4] == ["0.0", "1.0"]
    assert len(server.asked) == 1


def test_endpoint_key_comes_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret")
    writer = EndpointWriter(server.url, "m", key_variable="MY_KEY")
    writer.write(["one"], 1, 0)
    assert server.asked[0][1] == "Bearer secret" and "secret" not in writer.name


def test_endpoint_tries_again_when_it_may_pass(server: Server) -> None:
    server.failures = [503, 429]
    assert len(EndpointWriter(server.url, "m", pause_s=0.001).write(["one"], 1, 0)[0]) == 1
    assert len(server.asked) == 3


@pytest.mark.parametrize(("status", "asked"), [(401, 1), (500, 3)])
def test_endpoint_gives_up_with_the_reason(server: Server, status: int, asked: int) -> None:
    server.failures = [status] * 9
    writer = EndpointWriter(server.url, "m", attempts=3, pause_s=0.001, concurrency=1)
    with pytest.raises(InputError, match=rf"{server.url}/chat/completions gave no text \(HTTP status {status}.*'m'"):
        writer.write(["one"], 1, 0)
    assert len(server.asked) == asked


def test_endpoint_that_is_none(server: Server) -> None:
    server.answer = {"error": "not this way"}
    with pytest.raises(InputError, match=r"answered without a text .*not this way"):
        EndpointWriter(server.url, "m").write(["one"], 1, 0)
    with pytest.raises(InputError, match="gave no text"):
        EndpointWriter("http://127.0.0.1:9/v1", "m", attempts=1).write(["one"], 1, 0)


def test_endpoint_waits_as_long_as_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []
    monkeypatch.setattr("tacit.rerank.writer.writers.time.sleep", waited.append)
    busy = httpx.MockTransport(lambda request: httpx.Response(429, headers={"Retry-After": "7"}))
    writer = EndpointWriter("http://there/v1", "m", attempts=3)
    with httpx.Client(transport=busy) as client, pytest.raises(InputError):
        writer._post(client, "http://there/v1/chat/completions", {})
    assert waited == [7.0, 7.0]


def local(rows: int = 160) -> LocalWriter:
    return LocalWriter(tiny_writer.fresh(), tiny_writer.tokenizer(), SAMPLING, rows)


def exact(rows: int = 160) -> LocalWriter:
    """In double precision, so that no draw stands on the last bits of a product, which the batch may change."""
    return LocalWriter(tiny_writer.fresh().double(), tiny_writer.tokenizer(), SAMPLING, rows)


def test_local_texts_depend_on_prompt_seed_and_index_alone() -> None:
    """Whatever they are batched with: all at once, one prompt at a time, or in another order."""
    prompts = ["liked: a war film; film 1;\n", "short", "liked: a crime film; and another one; film 2;\n"]
    texts = exact().write(prompts, n=3, seed=1)
    assert [len(options) for options in texts] == [3, 3, 3]
    assert texts == exact(rows=3).write(prompts, n=3, seed=1)
    assert texts[::-1] == exact().write(prompts[::-1], n=3, seed=1)
    assert [options[:2] for options in texts] == exact().write(prompts, n=2, seed=1)
    assert len({text for options in texts for text in options}) == 9
    assert texts != exact().write(prompts, n=3, seed=2)


def test_local_greedy_ignores_the_seed() -> None:
    texts = local().write(["a war film"], n=2, seed=1, greedy=True)
    assert texts == local().write(["a war film"], n=2, seed=2, greedy=True)
    assert texts[0][0] == texts[0][1]


def test_local_from_a_folder_and_in_half_precision(tmp_path: Path) -> None:
    tiny_writer.fresh().save_pretrained(tmp_path)
    tiny_writer.tokenizer().save_pretrained(tmp_path)
    loaded = LocalWriter.load(str(tmp_path), SAMPLING)
    assert loaded.name == local().name
    assert loaded.write(["a war film"], 2, 0) == local().write(["a war film"], 2, 0)
    half = LocalWriter.load(str(tmp_path), SAMPLING, dtype="bfloat16")
    assert half.name != loaded.name and len(half.write(["a war film"], 2, 0)[0]) == 2
    with pytest.raises(InputError, match=r"writer\.base='.*nowhere' cannot be loaded"):
        LocalWriter.load(str(tmp_path / "nowhere"), SAMPLING)


def test_local_refuses_what_does_not_fit() -> None:
    with pytest.raises(InputError, match=r"answer of 8 do not fit the model's 64 positions: show fewer ratings"):
        local().write(["a war film; " * 20], 1, 0)


def test_a_tuned_model_writes_under_another_name() -> None:
    tuned = tiny_writer.fresh()
    with torch.no_grad():
        next(tuned.parameters()).add_(1e-3)
    other = LocalWriter(tuned, tiny_writer.tokenizer(), SAMPLING)
    hotter = LocalWriter(tiny_writer.fresh(), tiny_writer.tokenizer(), Sampling(temperature=2.0, max_tokens=8))
    assert len({local().name, other.name, hotter.name}) == 3


def test_chat_models_are_asked_by_their_template() -> None:
    tokenizer = small_writer(["a b c"], LMConfig(layers=1, heads=1, width=8, positions=32, vocabulary=280))[1]
    assert tokenizer.decode(prompt_tokens(tokenizer, "a b")) == "a b"
    tokenizer.chat_template = "{% for m in messages %}<user>{{ m.content }}{% endfor %}<agent>"
    assert tokenizer.decode(prompt_tokens(tokenizer, "a b")) == "<user>a b<agent>"


def test_a_small_writer_points_once_a_line_and_others_are_free() -> None:
    shape = LMConfig(layers=1, heads=1, width=8, positions=48, vocabulary=280)
    lm, tokenizer = small_writer(["Lately: #1 and #2.\nGenre: war."], shape, whole=["#1", "#2", "Heat"])
    sampling = Sampling(max_tokens=40)
    writer, free = LocalWriter(lm, tokenizer, sampling), LocalWriter(lm, tokenizer, sampling)
    free.once = None
    assert writer.once is not None and writer.name.endswith("once")
    assert sorted(tokenizer.decode([t]).strip() for t in writer.once.tokens) == ["#1", "#2"]
    assert [tokenizer.decode([t]) for t in writer.once.breaks] == ["\n"]
    with torch.no_grad():  # a model that says " #1" whatever stood before
        lm.get_input_embeddings().weight.zero_()
        lm.get_input_embeddings().weight[min(writer.once.tokens)] = 9.0
        lm.transformer.ln_f.bias.fill_(1.0)
    assert free.write(["a"], 1, 0, greedy=True) == [["#1" + " #1" * 39]]
    assert writer.write(["a"], 1, 0, greedy=True)[0][0].count("#1") == 1
    assert tiny_writer.tokenizer() and LocalWriter(tiny_writer.fresh(), tiny_writer.tokenizer(), sampling).once is None


def test_small_writer_is_the_same_each_time() -> None:
    shape = LMConfig(layers=1, heads=1, width=8, positions=32, vocabulary=280)
    before = torch.random.get_rng_state()
    first, second, other = (small_writer(["a b c"], shape, seed)[0] for seed in (3, 3, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert not torch.equal(next(first.parameters()), next(other.parameters()))
