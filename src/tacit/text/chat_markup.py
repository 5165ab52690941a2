"""What a model's own chat template writes around the turns of a conversation, found by rendering one.

A pretrained chat model knows where a turn begins and ends from its template. The template is rendered with marks in
place of the messages and taken apart at them, so no format of any model stands here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from tacit.text.tokens import AGENT, EOS, USER

_MARKS = ("qUSERONEq", "qAGENTONEq", "qUSERTWOq", "qAGENTTWOq")  # letters alone: no template trims or escapes them


@dataclass(frozen=True)
class Markup:
    """A conversation is ``head``, then for each turn ``…_open``, its text, and ``user_close`` or ``end`` and ``after``.

    ``end`` is one token, with which a reply ends: it is drawn; ``after`` follows it in what was said before.
    """

    head: str
    user_open: str
    user_close: str
    agent_open: str
    end: str
    after: str


SPECIAL = Markup("", USER, "", AGENT, EOS, "")  # tokens of our own, one a turn


def chat_markup(tokenizer: PreTrainedTokenizerBase) -> Markup:
    """That of the tokenizer's chat template; of one without, or that cannot be taken apart, ``SPECIAL`` with the
    model's own end token where it has one."""
    found = _taken_apart(tokenizer) if tokenizer.chat_template else None
    if found is not None:
        return found
    end = tokenizer.eos_token
    return Markup("", USER, "", AGENT, str(end) if end else EOS, "")


def _taken_apart(tokenizer: PreTrainedTokenizerBase) -> Markup | None:
    u1, a1, u2, a2 = _MARKS
    try:
        talk, opened = _rendered(tokenizer, _MARKS), _rendered(tokenizer, _MARKS[:1])
    except Exception:  # templates raise whatever they like
        return None
    pieces, rest = [], talk
    for mark in (u1, a1, u2, a2):
        before, found, rest = rest.partition(mark)
        if not found:
            return None
        pieces.append(before)
    start, turn_to_agent, turn_to_user, again = pieces
    user_close = opened.partition(u1)[2]
    if u1 not in opened or again != turn_to_agent or not turn_to_agent.startswith(user_close):
        return None
    agent_open = turn_to_agent[len(user_close) :]
    if not turn_to_user.startswith(rest):
        return None
    user_open = turn_to_user[len(rest) :]
    if not start.endswith(user_open):
        return None
    if not agent_open.strip():  # such as [/INST], which ends the one and begins the other
        user_close, agent_open = "", turn_to_agent
    end = _first_token(tokenizer, rest)
    if end is None or not agent_open or not user_open:
        return None
    return Markup(start[: len(start) - len(user_open)], user_open, user_close, agent_open, end, rest[len(end) :])


def _rendered(tokenizer: PreTrainedTokenizerBase, texts: tuple[str, ...]) -> str:
    roles = ("user", "assistant")
    messages: list[dict[str, Any]] = [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
    return str(tokenizer.apply_chat_template(messages, tokenize=False, enable_thinking=False))


def _first_token(tokenizer: PreTrainedTokenizerBase, text: str) -> str | None:
    """The special token that ``text`` begins with; None where it begins with something else."""
    named = {str(token) for token in tokenizer.added_tokens_decoder.values() if token.special}
    fitting = [token for token in named | set(tokenizer.all_special_tokens) if token and text.startswith(token)]
    return max(fitting, key=len, default=None)
