"""What a reasoning model thinks before it answers, left out: the user was never shown it."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NAMES = "think|thinking|thought|thoughts|reasoning|reflection|scratchpad|seed:think|antthinking"
# (opening, closing) marks of the thoughts, by the models that write them
_FORMS = (
    (rf"<(?:{_NAMES})\b[^<>/]*>", rf"</(?:{_NAMES})\s*>"),  # DeepSeek-R1, Qwen3 and most that came after
    (r"\[think\]", r"\[/think\]"),  # Magistral
    ("◁think▷", "◁/think▷"),  # Kimi
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),  # Sky-T1
    (r"<\|start_thinking\|>", r"<\|end_thinking\|>"),  # Command A
    (r"<\|channel>thought", r"<channel\|>"),  # Gemma 4
)
_MARKS = tuple(re.compile(f"(?P<open>{start})|{end}", re.IGNORECASE) for start, end in _FORMS)
# Harmony (gpt-oss): <|start|>assistant<|channel|>analysis<|message|>...<|end|>; only "final" is for the user.
_MESSAGE = re.compile(
    r"(?:<\|start\|>[^<]*)?<\|channel\|>\s*(?P<channel>\w*)[^<]*(?:<\|constrain\|>[^<]*)?(?:<\|message\|>)?"
    r"(?P<text>.*?)(?:<\|(?:end|return|call)\|>|(?=<\|start\|>)|(?=<\|channel\|>)|\Z)",
    re.DOTALL,
)
_BARE_HARMONY = re.compile(r"analysis.*?assistant\s*final", re.DOTALL)  # the same, its special tokens left out
_AROUND_ANSWER = re.compile(r"<\|(?:begin|end)_of_solution\|>|<\|(?:START|END)_RESPONSE\|>|</?answer>", re.IGNORECASE)


def has_thoughts(text: str) -> bool:
    """Whether any mark of a model's thoughts stands in the text."""
    if "<|channel|>" in text or _BARE_HARMONY.match(text):
        return True
    return ("<" in text or "[" in text or "◁" in text) and any(marks.search(text) for marks in _MARKS)


def any_thoughts(texts: Sequence[str]) -> bool:
    """Whether any of many texts holds a mark: where none does, far quicker than to ask of each."""
    joined = "\n".join(texts)
    if not any(sign in joined for sign in ("<", "[", "◁")) and "analysis" not in joined:
        return False
    return any(map(has_thoughts, texts))


def without_thoughts(text: str) -> str:
    """The text that the user was shown; the same text where it holds no thoughts, "" where nothing follows them.

    A part may lack its closing mark (the answer was cut: the rest is thought) or its opening one (templates write it
    into the prompt: all before the mark is thought).
    """
    if not has_thoughts(text):
        return text
    if "<|channel|>" in text:
        text = _MESSAGE.sub(lambda m: m["text"] if m["channel"] == "final" else "", text)
    text = _BARE_HARMONY.sub("", text, count=1) if _BARE_HARMONY.match(text) else text
    for marks in _MARKS:
        text = _outside(text, marks)
    return _AROUND_ANSWER.sub("", text).strip()


def _outside(text: str, marks: re.Pattern[str]) -> str:
    """What stands outside the parts between an opening mark and the next closing one."""
    shown, start, inside = "", 0, False
    for mark in marks.finditer(text):
        if not mark["open"]:
            shown, inside = (shown if inside else ""), False
        else:
            shown, inside = shown + ("" if inside else text[start : mark.start()]), True
        start = mark.end()
    return shown + ("" if inside else text[start:])
