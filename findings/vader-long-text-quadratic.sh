#!/usr/bin/env bash
# vaderSentiment 3.3.2: the time for one text grows with the square of its length. For each word that has a feeling the
# whole text is put into lower case again, several times over, to look at the three words before it:
#
#     words    calls of str.lower
#       250        95,231
#       500       377,981
#     1,000     1,505,981
#
# A text of 18,000 such words takes some twenty seconds. The scores are not wrong.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check vaderSentiment==3.3.2
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

analyzer = SentimentIntensityAnalyzer()
print("vaderSentiment", version("vaderSentiment"))


def lowered(words: int) -> int:
    """How often str.lower is called for one text of so many words, half of which have a feeling."""
    text = "good film " * (words // 2)
    calls = 0

    def count(frame, event, called):
        nonlocal calls
        calls += event == "c_call" and getattr(called, "__name__", "") == "lower"

    sys.setprofile(count)
    analyzer.polarity_scores(text)
    sys.setprofile(None)
    return calls


found = {words: lowered(words) for words in (250, 500, 1000)}
for words, calls in found.items():
    print(f"{words:5,d} words {calls:11,d} calls of str.lower")
assert 3.8 < found[1000] / found[500] < 4.2, "twice the words no longer take four times the work"
PYTHON
