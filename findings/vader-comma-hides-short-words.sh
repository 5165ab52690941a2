#!/usr/bin/env bash
# vaderSentiment 3.3.2: punctuation after a word of one or two letters stays on the word, so the lexicon does not find it,
# and a negation of two letters is none. A comma turns a refusal into praise:
#
#     No thanks    -0.3412        No, thanks    +0.4404
#     no           -0.2960        no.           +0.0000
#     ok           +0.2960        ok.           +0.0000
#
# Longer words are found with their punctuation: "bad" and "bad." score alike.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check vaderSentiment==3.3.2
"$folder/venv/bin/python" - <<'PYTHON'
from importlib.metadata import version

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

analyser = SentimentIntensityAnalyzer()
score = {}
print("vaderSentiment", version("vaderSentiment"))
for text in ("No thanks", "No, thanks", "no", "no.", "ok", "ok.", "bad", "bad."):
    score[text] = analyser.polarity_scores(text)["compound"]
    print(f"{score[text]:+.4f} {text}")
assert score["No thanks"] < 0 < score["No, thanks"], "the comma no longer hides the negation"
assert score["no"] < 0 and score["no."] == 0, "a full stop no longer hides 'no'"
assert score["ok"] > 0 and score["ok."] == 0, "a full stop no longer hides 'ok'"
assert score["bad"] == score["bad."] < 0, "longer words are no longer found with their punctuation"
PYTHON
