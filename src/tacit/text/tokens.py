"""The tokens that every tokenizer here has beside its own, and text that cannot write them."""

from __future__ import annotations

import re

PAD, EOS, USER, AGENT = "<pad>", "<eos>", "<user>", "<agent>"
RECOMMEND, CHAT, REPLY = "<recommend>", "<chat>", "<reply>"
MAX_SLOTS = 5
SLOTS = tuple(f"<{k}>" for k in range(1, MAX_SLOTS + 1))
SPECIALS = (PAD, EOS, USER, AGENT, RECOMMEND, CHAT, REPLY, *SLOTS)
_SPACES = re.compile(r"\s+")


def plain(text: str) -> str:
    """User-made text must not be able to write special tokens."""
    return _SPACES.sub(" ", text.replace("<", "(").replace(">", ")")).strip()
