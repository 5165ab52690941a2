"""Texts from any OpenAI-compatible server (vLLM, Ollama, hosted), each given out as soon as it arrives.

What a server sends may be no text: an error in place of one, nothing but thoughts, a refusal, a text that was cut. Here
it becomes a text, a reason to ask again, or one sentence that ends the run; never a text that nobody wrote.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

import httpx
import numpy as np

from tacit.data.thoughts import has_thoughts, without_thoughts
from tacit.text.generate import CutText, Sampling, stream_seed
from tacit.text.retries import backoff, may_pass, retry_after
from tacit.types import InputError

_TEXT_PARTS = ("text", "output_text")
SHOWN = 1500  # characters of a server's message: the remedy often stands at its end
_FILTERED = ('"content_filter"', '"content_policy_violation"')  # codes of a 400 that is about the prompt's words
LENGTH = ("length", "max_tokens")  # what finish_reason is where the text was cut
OURS = ("messages", "prompt", "stream", "n")  # parameters of a request that a setting cannot change


class NoText(Exception):
    """An answer without a text. ``again`` says whether asking once more may help, ``refused`` that the model or a
    filter would not answer this one prompt."""

    def __init__(self, reason: str, again: bool = False, refused: bool = False) -> None:
        super().__init__(reason)
        self.again = again
        self.refused = refused


@dataclass(frozen=True)
class EndpointWriter:
    """POST ``url``/chat/completions, or /completions: one request a text, ``concurrency`` at a time.

    What may pass (no connection, 408, 409, 425, 429, 5xx, an answer without choices) is tried ``attempts`` times,
    waiting as long as the server asks, else ``pause_s``, then twice as long each time; never above ``longest_wait_s``.
    """

    url: str  # up to and including /v1
    model: str
    sampling: Sampling = field(default_factory=Sampling)
    parameters: Mapping[str, Any] = field(default_factory=dict)  # of the request, over our own; None leaves one out
    chat: bool = True
    key_variable: str = "OPENAI_API_KEY"  # environment variable with the key; none is sent where it is not set
    concurrency: int = 8
    attempts: int = 6
    pause_s: float = 1.0
    longest_wait_s: float = 120.0
    timeout_s: float = 300.0
    sleep: Callable[[float], object] = time.sleep
    jitter: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))  # of the waits alone
    settings: str = "knowledge"  # what its settings are called in messages: knowledge.url
    refused: str | None = None  # what stands for the answer to a prompt that is refused; None ends the run
    used: Callable[[Mapping[str, Any] | None], object] = lambda usage: None  # told each answer's count of tokens

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise InputError(f"{self.settings}.url={self.url!r} is no address: give one like http://127.0.0.1:8000/v1.")
        ours = sorted(set(self.parameters) & set(OURS))
        if ours:
            raise InputError(f"{self.settings}.parameters.{ours[0]} cannot be set: we write it ourselves. Remove it.")

    @property
    def name(self) -> str:
        changed = f" {sorted(self.parameters.items())}" if self.parameters else ""
        return f"{self.url} {self.model} chat={self.chat} {self.sampling}{changed}"

    def write(self, prompts: Sequence[str], n: int, seed: int, greedy: bool = False) -> list[list[str]]:
        asked = [(prompt, k) for prompt in prompts for k in range(1 if greedy else n)]
        texts = dict(self.each(asked, seed, greedy))
        return [[texts[prompt, 0 if greedy else k] for k in range(n)] for prompt in prompts]

    def each(
        self, asked: Sequence[tuple[str, int]], seed: int, greedy: bool = False
    ) -> Generator[tuple[tuple[str, int], str]]:
        """((prompt, index), text) of each different one ``asked`` for, in the order of arrival.

        After the first that fails none is begun; those on their way are still given out, and then it is raised.
        """
        failed: BaseException | None = None
        with (
            httpx.Client(headers=self._headers(), timeout=self.timeout_s) as client,
            ThreadPoolExecutor(self.concurrency) as pool,
        ):
            stopped = threading.Event()
            futures: dict[Future[str], tuple[str, int]] = {
                pool.submit(self._text, client, stopped, one[0], stream_seed(*one, seed), greedy): one
                for one in dict.fromkeys(asked)
            }
            try:
                for future in as_completed(futures):
                    if future.cancelled():
                        continue
                    if (error := future.exception()) is None:
                        yield futures[future], future.result()
                    elif failed is None:
                        failed = error
                        _cancel(futures, stopped)
            finally:
                _cancel(futures, stopped)
        if failed is not None:
            raise failed

    def _headers(self) -> dict[str, str]:
        key = os.environ.get(self.key_variable, "").strip()
        if not (key.isascii() and key.isprintable()):
            raise InputError(f"the environment variable {self.key_variable} holds no key: set it anew.")
        return {"Authorization": f"Bearer {key}"} if key else {}

    def _body(self, prompt: str, seed: int, greedy: bool) -> dict[str, Any]:
        """The request: our own parameters, those of ``parameters`` over them, none that is null."""
        body: dict[str, Any] = {
            "model": self.model,
            "seed": seed,
            "max_tokens": self.sampling.max_tokens,
            "temperature": 0.0 if greedy else self.sampling.temperature,
            "top_p": 1.0 if greedy else self.sampling.top_p,
        }
        body |= {"messages": [{"role": "user", "content": prompt}]} if self.chat else {"prompt": prompt}
        return {key: value for key, value in (body | dict(self.parameters)).items() if value is not None}

    def _text(self, client: httpx.Client, stopped: threading.Event, prompt: str, seed: int, greedy: bool) -> str:
        url = f"{self.url.rstrip('/')}/{'chat/completions' if self.chat else 'completions'}"
        body, reason = self._body(prompt, seed, greedy), ""
        for attempt in range(self.attempts):
            wait: float | None = None
            try:
                answer = client.post(url, json=body)
                wait = retry_after(answer.headers, time.time())
                if answer.is_success:
                    self.used(usage_of(answer))
                return read_answer(answer, self.chat, self.settings)
            except NoText as error:
                if error.refused and self.refused is not None:
                    return self.refused
                reason = str(error)
                if not error.again:
                    break
            except httpx.InvalidURL as error:
                raise InputError(f"{self.settings}.url={self.url!r} is no address ({error}): correct it.") from None
            except httpx.HTTPError as error:
                reason = str(error) or type(error).__name__
            if attempt + 1 == self.attempts or stopped.is_set():
                break
            if wait is not None:
                reason += f"; the server asked to wait {wait:.0f} s"
            self.sleep(min(self.longest_wait_s, backoff(attempt, self.pause_s, self.jitter) if wait is None else wait))
        key = os.environ.get(self.key_variable, "").strip()
        raise InputError(
            f"{url} gave no text ({reason.replace(key, '...') if key else reason}): check {self.settings}.url, "
            f"{self.settings}.model={self.model!r}, {self.settings}.parameters and the key in {self.key_variable}; the "
            "same command goes on from here."
        )


def read_answer(answer: httpx.Response, chat: bool, settings: str) -> str:
    """The text of a response, without thoughts; a ``CutText`` where it ended at the limit. NoText where there is none.

    Source of the shapes: https://platform.openai.com/docs/api-reference/chat/object and what servers send beside it.
    """
    start = " ".join(answer.text.split())[:SHOWN]
    if not answer.is_success:
        to = f" to {answer.headers['location']}" if "location" in answer.headers else ""
        filtered = answer.status_code == 400 and any(code in start for code in _FILTERED)
        raise NoText(f"HTTP status {answer.status_code}{to}: {start}", may_pass(answer.status_code, start), filtered)
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        html = start.startswith("<") or start.startswith("data:")  # a page, or a stream nobody asked for
        raise NoText(f"an answer that is not JSON: {start}", again=not html) from None
    choices = body.get("choices") if isinstance(body, dict) else None
    if not (isinstance(choices, list) and choices and isinstance(choices[0], dict)):
        raise NoText(f"an answer without choices: {start}", again=may_pass(_code(body), start))
    return _text_of_choice(choices[0], chat, settings)


def _text_of_choice(choice: Mapping[str, Any], chat: bool, settings: str) -> str:
    message = choice.get("message") if chat else choice
    message = message if isinstance(message, dict) else {}
    raw = text_of(message.get("content" if chat else "text")) or ""
    text, finish = without_thoughts(raw).strip(), choice.get("finish_reason")
    text = text.encode(errors="replace").decode()  # half a character cannot be kept
    if text:
        return CutText(text) if finish in LENGTH else text
    thought = has_thoughts(raw) or any(message.get(key) for key in ("reasoning", "reasoning_content", "thinking"))
    thought = thought or isinstance(message.get("content"), list)
    refused = bool(message.get("refusal")) or finish == "content_filter"
    if refused:
        remedy = f"the model refused ({str(message.get('refusal') or 'a content filter')[:200]}): take another model"
    elif message.get("tool_calls") or message.get("function_call") or finish == "tool_calls":
        remedy = "the model called a tool: take another model, or switch tools off at the server"
    elif thought:
        remedy = (
            "nothing but thoughts came: switch the model's thinking off (for example "
            f"{settings}.parameters.reasoning_effort, or chat_template_kwargs), or raise {settings}.max_tokens"
        )
    else:
        remedy = f"raise {settings}.max_tokens" if finish in LENGTH else "take another model"
    raise NoText(f"an empty text with finish_reason {finish!r}; {remedy}", finish == "error", refused)


def usage_of(answer: httpx.Response) -> Mapping[str, Any] | None:
    """``prompt_tokens`` and ``completion_tokens`` as the server counts them; None where it does not say."""
    try:
        body = answer.json()
    except (ValueError, RecursionError):
        return None
    usage = body.get("usage") if isinstance(body, dict) else None
    return usage if isinstance(usage, dict) else None


def text_of(content: object) -> str | None:
    """The text of a message's ``content``: text, or the text parts of a list joined; None where there is none.

    Parts of other types (``thinking``, ``reasoning``, calls, refusals) are no text.
    """
    if isinstance(content, str):
        return content
    parts = [_part(part) for part in content] if isinstance(content, list) else []
    texts = [part for part in parts if part is not None]
    return "".join(texts) if texts else None


def _part(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("type", "text") in _TEXT_PARTS and isinstance(part.get("text"), str):
        return str(part["text"])
    return None


def _code(body: object) -> int:
    """The status that an error inside a body names; 500 (which may pass) where it names none."""
    error = body.get("error") if isinstance(body, dict) else None
    code = error.get("code", error.get("status")) if isinstance(error, dict) else None
    if isinstance(code, str) and code.isdecimal() and len(code) == 3:
        code = int(code)
    return code if isinstance(code, int) and 400 <= code <= 599 else 500


def _cancel(futures: Mapping[Future[str], tuple[str, int]], stopped: threading.Event) -> None:
    stopped.set()
    for future in futures:
        future.cancel()
