"""Texts from a server: what is a text, what is asked for again, what is kept, and what ends the run."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from servers import Reply, Server, message, serving

from tacit.rerank.writer.cache import CachedWriter, cut_texts, prompt_key
from tacit.text.endpoint import EndpointWriter, text_of
from tacit.text.generate import CutText, Sampling
from tacit.types import InputError

SAMPLING = Sampling(max_tokens=8)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with serving() as running:
        yield running


class Waits(list[float]):
    """Stands in for sleeping."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def writer(server: Server, waits: Waits | None = None, **settings: Any) -> EndpointWriter:
    return EndpointWriter(
        server.url, "m", **{"sampling": SAMPLING, "sleep": Waits() if waits is None else waits, **settings}
    )


def echo(body: dict[str, Any], number: int) -> Reply:
    """The prompt, and what was asked of the sampling."""
    prompt = body["messages"][0]["content"] if "messages" in body else body["prompt"]
    text = f" {prompt} {body['seed']} {body['temperature']} {body['top_p']} {body['max_tokens']} {body['model']}\n"
    return Reply({"choices": [{"message": {"content": text}} if "messages" in body else {"text": text}]})


@pytest.mark.parametrize("chat", [True, False])
def test_n_texts_in_order(server: Server, chat: bool) -> None:
    server.answer = echo
    asked = writer(server, chat=chat)
    texts = asked.write(["one", "two"], n=3, seed=5)
    assert [[text.split()[0] for text in options] for options in texts] == [["one"] * 3, ["two"] * 3]
    assert len({text for options in texts for text in options}) == 6  # six seeds
    assert texts[0][0].split()[2:] == ["1.0", "0.95", "8", "m"]
    assert texts == asked.write(["one", "two"], n=3, seed=5)
    assert server.asked[0][:2] == ("/v1/chat/completions" if chat else "/v1/completions", None)


def test_greedy_asks_once(server: Server) -> None:
    server.answer = echo
    texts = writer(server).write(["one"], n=3, seed=5, greedy=True)
    assert len(texts[0]) == 3 and len(set(texts[0])) == 1 and texts[0][0].split()[2:4] == ["0.0", "1.0"]
    assert len(server.asked) == 1


def test_the_key_comes_from_the_environment_and_stays_there(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", "secret\n")
    asked = writer(server, key_variable="MY_KEY")
    asked.write(["one"], 1, 0)
    assert server.asked[0][1] == "Bearer secret" and "secret" not in asked.name
    server.answer = lambda body, number: Reply({"error": "the key secret is unknown"}, 401)
    with pytest.raises(InputError, match=r"the key \.\.\. is unknown.*MY_KEY"):
        asked.write(["one"], 1, 0)
    monkeypatch.setenv("MY_KEY", "schlüssel")
    with pytest.raises(InputError, match="MY_KEY holds no key"):
        asked.write(["one"], 1, 0)


@pytest.mark.parametrize(
    "parts",
    [
        {"content": "<think>\nHorror? No.\n</think>\n\nGenre: drama."},
        {"content": "Horror? No.</think>Genre: drama."},
        {"content": "Genre: drama.", "reasoning_content": "Horror?", "reasoning": "Horror?"},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
                     {"type": "text", "text": "Genre: "}, {"type": "text", "text": "drama."}]},
        {"content": "<|channel|>analysis<|message|>hm<|end|><|start|>a<|channel|>final<|message|>Genre: drama."},
    ],
)  # fmt: skip
def test_the_answer_without_thoughts(server: Server, parts: dict[str, Any]) -> None:
    server.answer = lambda body, number: message(**parts)
    assert writer(server).write(["p"], 1, 0) == [["Genre: drama."]]


@pytest.mark.parametrize(
    ("finish", "parts", "remedy"),
    [
        ("length", {"content": None}, "finish_reason 'length'; raise knowledge.max_tokens"),
        ("length", {"content": None, "reasoning": "The user"}, "'length'; nothing but thoughts came"),
        ("length", {"content": "<think>\nOkay, so the user"}, "'length'; nothing but thoughts came"),
        ("stop", {"content": "", "reasoning_content": "x"}, "'stop'; nothing but thoughts came"),
        ("stop", {"content": [{"type": "thinking", "thinking": "x"}]}, "'stop'; nothing but thoughts came"),
        ("stop", {"content": None, "refusal": "I cannot."}, r"'stop'; the model refused \(I cannot\.\)"),
        ("content_filter", {"content": ""}, "'content_filter'; the model refused"),
        ("tool_calls", {"content": None, "tool_calls": [{}]}, "'tool_calls'; the model called a tool"),
        ("stop", {"content": " \n"}, "'stop'; take another model"),
        (None, {}, "None; take another model"),
    ],
)
def test_no_text_is_an_error_and_never_kept(
    server: Server, tmp_path: Path, finish: str | None, parts: dict[str, Any], remedy: str
) -> None:
    server.answer = lambda body, number: message(finish, **parts)
    with pytest.raises(InputError, match=f"gave no text .*{remedy}"):
        CachedWriter(writer(server), tmp_path).write(["p"], 1, 0, greedy=True)
    assert len(server.asked) == 1 and list(tmp_path.iterdir()) == []


def test_cut_texts_are_kept_and_counted(server: Server, tmp_path: Path) -> None:
    def answer(body: dict[str, Any], number: int) -> Reply:
        prompt = body["messages"][0]["content"]
        return message("length" if prompt == "p1" else "stop", content=f"Genre: likes {prompt}")

    server.answer = answer
    assert [isinstance(options[0], CutText) for options in writer(server).write(["p0", "p1"], 1, 0)] == [False, True]
    for _ in range(2):  # written, and read again
        texts = CachedWriter(writer(server), tmp_path).write(["p0", "p1", "p2"], 1, 0)
        assert texts == [["Genre: likes p0"], ["Genre: likes p1"], ["Genre: likes p2"]]
        assert cut_texts(tmp_path) == {prompt_key("p1"): {"Genre: likes p1"}}
    assert len(server.asked) == 2 + 3


AGAIN = [
    Reply({"choices": []}),
    Reply({"choices": None}),
    Reply({"error": {"message": "Rate limit exceeded", "code": 429}}),
    Reply({"error": {"message": "Overloaded"}}),
    Reply("{"),
    Reply(""),
    Reply("slow", 408),
    Reply("conflict", 409),
    Reply("early", 425),
    Reply("many", 429),
    Reply("broken", 500),
    Reply("busy", 503),
    message("error", content=""),
]


@pytest.mark.parametrize("reply", AGAIN)
def test_what_may_pass_is_asked_again(server: Server, reply: Reply) -> None:
    server.answer = lambda body, number: reply if number < 2 else message(content="Likes noir.")
    waits = Waits()
    assert writer(server, waits).write(["p"], 1, 0) == [["Likes noir."]]
    assert len(server.asked) == 3 and len(waits) == 2
    assert 0.5 <= waits[0] < 1.0 <= waits[1] < 2.0


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply({"error": "no"}, 400), "status 400"),
        (Reply({"error": "no"}, 401), "status 401"),
        (Reply({"error": "no"}, 403), "status 403"),
        (Reply({"error": "no"}, 404), "status 404"),
        (Reply({"detail": [{"type": "extra_forbidden", "loc": ["body", "seed"]}]}, 422), "status 422.*seed"),
        (Reply({"error": {"code": "insufficient_quota"}}, 429), "insufficient_quota"),
        (Reply({"error": {"code": 401, "message": "no such key"}}), "no such key"),
        (Reply("", 302, {"Location": "/elsewhere"}), "status 302 to /elsewhere"),
        (Reply("<html>login</html>"), "not JSON: <html>login"),
        (Reply('data: {"choices":[]}\n\ndata: [DONE]\n\n'), "not JSON: data:"),
    ],
)
def test_what_cannot_pass_ends_at_once(server: Server, reply: Reply, reason: str) -> None:
    server.answer = lambda body, number: reply
    waits = Waits()
    with pytest.raises(InputError, match=rf"chat/completions gave no text \(.*{reason}.*knowledge\.url"):
        writer(server, waits).write(["p"], 1, 0)
    assert len(server.asked) == 1 and waits == []


def test_the_whole_message_of_a_server_is_shown(server: Server) -> None:
    said = "Unsupported parameter: 'max_tokens'. " + "x" * 600 + " Use 'max_completion_tokens' instead."
    server.answer = lambda body, number: Reply({"error": {"message": said}}, 400)
    with pytest.raises(InputError, match=r"Use 'max_completion_tokens' instead.*knowledge\.parameters"):
        writer(server).write(["p"], 1, 0)


@pytest.mark.parametrize(
    ("headers", "low", "high"),
    [
        ({"Retry-After": "7"}, 7, 7),
        ({"Retry-After": "1.5"}, 1.5, 1.5),
        ({"retry-after-ms": "2500"}, 2.5, 2.5),
        ({"Retry-After": "86400"}, 120, 120),  # a day: no longer than the longest wait
        ({"Retry-After": formatdate(4_000_000_000, usegmt=True)}, 120, 120),
        ({"Retry-After": formatdate(0, usegmt=True)}, 0, 0),
    ],
)
def test_waits_as_long_as_the_server_asks(server: Server, headers: dict[str, str], low: float, high: float) -> None:
    server.answer = lambda body, number: Reply("busy", 429, headers)
    waits = Waits()
    with pytest.raises(InputError, match="status 429: busy"):
        writer(server, waits, attempts=3).write(["p"], 1, 0)
    assert len(waits) == 2 and low <= min(waits) <= max(waits) <= high


def test_no_server_and_no_address(server: Server) -> None:
    waits = Waits()
    with pytest.raises(InputError, match="gave no text"):
        EndpointWriter("http://127.0.0.1:9/v1", "m", attempts=3, sleep=waits).write(["one"], 1, 0)
    assert len(waits) == 2
    for url in ("127.0.0.1:8000/v1", "ftp://there/v1", ""):
        with pytest.raises(InputError, match=r"knowledge\.url=.* is no address"):
            EndpointWriter(url, "m")
    with pytest.raises(InputError, match=r"knowledge\.url=.* is no address"):
        EndpointWriter("http://there:port/v1", "m", sleep=waits).write(["one"], 1, 0)


def test_a_text_that_fails_loses_no_other(server: Server, tmp_path: Path) -> None:
    """Of 40 texts the last never comes: the others are kept, and the next run asks for it alone."""
    prompts = [f"p{k}" for k in range(40)]

    def answer(body: dict[str, Any], number: int) -> Reply:
        prompt = body["messages"][0]["content"]
        return Reply({"error": "no"}, 400) if prompt == "p39" else message(content=f"ok {prompt}")

    server.answer = answer
    with pytest.raises(InputError, match="gave no text"):
        CachedWriter(writer(server), tmp_path).write(prompts, 1, 0)
    (path,) = tmp_path.iterdir()
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(kept) == 39 and all(len(line) == 1 for line in kept)
    server.answer = lambda body, number: message(content="ok p39")
    texts = CachedWriter(writer(server), tmp_path).write(prompts, 1, 0)
    assert texts == [[f"ok {prompt}"] for prompt in prompts] and len(server.asked) == 41


def test_only_the_samples_that_lack_are_asked_for(server: Server, tmp_path: Path) -> None:
    server.answer = echo
    two = CachedWriter(writer(server), tmp_path).write(["p", "p"], 2, 7)
    three = CachedWriter(writer(server), tmp_path).write(["p"], 3, 7)
    assert two[0] == two[1] == three[0][:2] and len(server.asked) == 3


def test_what_an_earlier_version_kept_of_no_text_is_asked_again(server: Server, tmp_path: Path) -> None:
    cached = CachedWriter(writer(server), tmp_path)
    cached.write(["p0", "p1", "p2"], 1, 0)
    lines = cached.path.read_text().splitlines()
    texts_kept = zip(lines, ["", "<think>hm", "x"], strict=True)
    spoilt = [json.dumps(dict.fromkeys(json.loads(line), text)) for line, text in texts_kept]
    cached.path.write_text("\n".join(spoilt) + "\n")
    texts = CachedWriter(writer(server), tmp_path).write(["p0", "p1", "p2"], 1, 0)
    assert sorted(text for (text,) in texts).count("x") == 1 and len(server.asked) == 3 + 2


def test_parameters_are_left_out_renamed_and_added(server: Server) -> None:
    changed = {"max_tokens": None, "seed": None, "temperature": None, "top_p": None, "max_completion_tokens": 9}
    asked = writer(server, parameters=changed | {"chat_template_kwargs": {"enable_thinking": False}})
    asked.write(["p"], 1, 0)
    assert server.asked[0][2] == {
        "model": "m",
        "messages": [{"role": "user", "content": "p"}],
        "max_completion_tokens": 9,
        "chat_template_kwargs": {"enable_thinking": False},
    }
    assert asked.name != writer(server).name  # other parameters, other texts
    assert writer(server, parameters={}).name == f"{server.url} m chat=True {SAMPLING}"  # as in caches before
    with pytest.raises(InputError, match=r"knowledge\.parameters\.stream cannot be set"):
        writer(server, parameters={"stream": True})


def test_half_a_character_can_be_kept(server: Server, tmp_path: Path) -> None:
    server.answer = lambda body, number: message(content="Likes \ud83d noir")
    assert CachedWriter(writer(server), tmp_path).write(["p"], 1, 0) == [["Likes ? noir"]]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("a", "a"),
        ("", ""),
        (None, None),
        ([], None),
        ([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "a"}], "a"),
        ([{"type": "text", "text": "a"}, {"type": "output_text", "text": "b"}, {"text": "c"}, "d"], "abcd"),
        ([{"type": "reasoning", "text": "hm"}, {"type": "refusal", "refusal": "no"}, None, {"type": "text"}], None),
        ({"text": "a"}, None),
        (5, None),
    ],
)
def test_content(content: object, text: str | None) -> None:
    assert text_of(content) == text
