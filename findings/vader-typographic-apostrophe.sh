#!/usr/bin/env bash
# vaderSentiment 3.3.2: a negation written with the typographic apostrophe (U+2019), as phones and word processors write
# it, is no negation. The sign of the score flips:
#
#     I don't like it      -0.2755        I don’t like it      +0.3612
#     It isn't good        -0.3412        It isn’t good        +0.4404
#
# The lexicon and the list of negations know U+0027 alone, and nothing is normalised before they are read.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check vaderSentiment==3.3.2
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

score = SentimentIntensityAnalyzer().polarity_scores
print("vaderSentiment", version("vaderSentiment"))
for plain in ("I don't like it", "It isn't good", "I can't recommend this"):
    curly = plain.replace("'", "\u2019")
    values = score(plain)["compound"], score(curly)["compound"]
    print(f"{values[0]:+.4f} {plain}    {values[1]:+.4f} {curly}")
    assert values[0] < 0 < values[1], "the typographic apostrophe no longer flips the sign"
PYTHON
