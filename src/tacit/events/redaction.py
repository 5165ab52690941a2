"""E-mail addresses, phone and card numbers and access tokens are taken out of free text before it is stored.

Patterns find what is written in a usual way; they are no promise that nothing personal is left (names are not found).
"""

from __future__ import annotations

import re

LONGEST = 20_000  # characters of a text that are kept

_EMAIL = re.compile(r"[^\s@<>()\[\],;:\"']{1,64}@[^\s@<>()\[\],;:\"']{1,190}\.[^\W\d_]{2,24}")
_TOKENS = re.compile(
    r"\bBearer\s+[\w.~+/=-]{8,}"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"  # JSON Web Tokens
    r"|\b(?:sk|pk|rk|hf|gh[pousr]|github_pat|glpat|xox[abprs]|AKIA|ASIA|AIza)[-_]?[A-Za-z0-9_-]{12,}"
    r"|\b[0-9a-fA-F]{32,}\b"
    r"|\b(?=[\w+/-]{0,200}\d)(?=[\w+/-]{0,200}[A-Z])(?=[\w+/-]{0,200}[a-z])[A-Za-z0-9_+/-]{32,}={0,2}"
)
_CARD = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d])")
_PHONE = re.compile(
    r"(?<![\w.])(?:"
    r"(?:\+|00)\d(?:[ ./()-]{0,3}\d){6,14}"
    r"|\(?0\d(?:[ ./()-]{0,3}\d){7,12}"
    r"|\(?\d{3}\)?[ .-]{1,2}\d{3}[ .-]\d{3,4}"
    r"|\d{10,15}"
    r")(?![\w])"
)


def redacted(text: str) -> str:
    """``text`` with ``[e-mail]``, ``[token]``, ``[card]``, ``[phone]`` where such stood; cut at ``LONGEST``.

    What a database cannot hold (NUL, halves of a character) is left out.
    """
    text = text[:LONGEST].replace("\x00", "").encode("utf-8", "ignore").decode("utf-8")
    text = _TOKENS.sub("[token]", _EMAIL.sub("[e-mail]", text))
    return _PHONE.sub("[phone]", _CARD.sub(_card, text))


def _card(found: re.Match[str]) -> str:
    """Only what passes the check digit (Luhn, ISO/IEC 7812-1) is a card."""
    digits = [int(digit) for digit in found.group() if digit.isdigit()]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return "[card]" if (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0 else found.group()
