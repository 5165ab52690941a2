"""What a thinking model writes before its answer, cut off wherever a model's text enters.

Models put their thoughts between tags, and leave out the opening tag where the template wrote it, or the closing one
where the text was cut. Thoughts are no answer: not what a user reads, and not what an agent recommended.
"""

from __future__ import annotations

import re
from typing import Any

_NAMES = r"(?:think|thinking|thought|thoughts|reasoning)"
_TAG = re.compile(
    rf"<\s*(?P<close>/?)\s*{_NAMES}\s*(?P<empty>/?)>|\[(?P<shut>/?)THINK\]|◁(?P<end>/?)think▷", re.IGNORECASE
)
# Harmony, the format of gpt-oss: <|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final<|message|>
_CHANNEL = re.compile(r"<\|channel\|>")
_FINAL = re.compile(r"<\|channel\|>\s*final\b[^<]*<\|message\|>")
_END = re.compile(r"<\|(?:end|return|start|call)\|>")
_TEXT_PARTS = ("text", "output_text")


def has_thoughts(text: str) -> bool:
    """Whether any tag of a thought, opening or closing, stands in ``text``."""
    return bool(_TAG.search(text) or _CHANNEL.search(text))


def without_thoughts(text: str) -> str:
    """The answer alone, without blanks around it; a text that has no tags comes back as it is.

    What stands between an opening tag and the next closing one goes, with an opening tag that nothing closes all that
    follows, and with a closing tag that nothing opened all that stands before it. "" where nothing but thoughts stands.
    """
    while has_thoughts(text):  # what is cut out may join two halves of another tag
        text = (_final_channel(text) if _CHANNEL.search(text) else _outside_tags(text)).strip()
    return text


def text_of(content: object) -> str | None:
    """The text of a message's ``content``: text, or the text parts of a list joined; None where there is none.

    Parts of other types (``thinking``, ``reasoning``, calls, refusals) are no text.
    """
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [_part(part) for part in content]
    texts = [part for part in parts if part is not None]
    return "".join(texts) if texts else None


def _part(part: Any) -> str | None:
    if isinstance(part, str):
        return part
    if isinstance(part, dict) and part.get("type", "text") in _TEXT_PARTS and isinstance(part.get("text"), str):
        return str(part["text"])
    return None


def _outside_tags(text: str) -> str:
    outside: list[str] = []
    start, inside = 0, False
    for tag in _TAG.finditer(text):
        if tag["empty"]:
            outside += [] if inside else [text[start : tag.start()]]
        elif tag["close"] or tag["shut"] or tag["end"]:
            outside, inside = outside if inside else [], False
        else:
            outside += [] if inside else [text[start : tag.start()]]
            inside = True
        start = tag.end()
    return "".join(outside if inside else [*outside, text[start:]])


def _final_channel(text: str) -> str:
    finals = list(_FINAL.finditer(text))
    return _END.split(text[finals[-1].end() :], maxsplit=1)[0] if finals else ""
