"""The tokens that every tokenizer here has beside its own, and text that cannot write them."""

from __future__ import annotations

import re

PAD, EOS, USER, AGENT = "<pad>", "<eos>", "<user>", "<agent>"
RECOMMEND, CHAT, REPLY = "<recommend>", "<chat>", "<reply>"
MAX_SLOTS = 5
SLOTS = tuple(f"<{k}>" for k in range(1, MAX_SLOTS + 1))
SPECIALS = (PAD, EOS, USER, AGENT, RECOMMEND, CHAT, REPLY, *SLOTS)
# What a pretrained model takes an added token to be before it has learnt it: the mean of these words' rows. Of those
# tried the ones that cost SmolLM2 least on turns of ReDial's validation (benchmarks/added_tokens.py).
DESCRIBED = {
    EOS: "\n",
    USER: "\nUser:",
    AGENT: "\nAssistant:",
    RECOMMEND: "I",  # like a first word
    CHAT: "I",
    REPLY: "\n",
    **dict.fromkeys(SLOTS, ' "'),  # like the beginning of a title
}
_SPACES = re.compile(r"\s+")


def plain(text: str) -> str:
    """User-made text must not be able to write special tokens."""
    return _SPACES.sub(" ", text.replace("<", "(").replace(">", ")")).strip()
