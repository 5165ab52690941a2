"""What a writer is asked: prompts about users, factor by factor, from the history before the cut alone.

The long prompts follow KAR (arXiv 2306.10933, preprocess/generate_data_and_prompt.py): the same contents in the same
order, with the demographics of the right user. The numbered prompt says the same to a model that was trained on it, the
listed one to a chat model too small for KAR's question about nine factors, which it answers by repeating it.
In all of them every history item ends in ";" and nothing after the last one does, so that the history can be cut off
again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from tacit.data.ratings.table import Ratings
from tacit.rerank.lists.lists import Histories
from tacit.rerank.writer.facts import genres
from tacit.text.tokens import plain
from tacit.types import Ints32, Item

FACTORS = {
    "movies": (
        "genre",
        "director/actors",
        "time period/country",
        "character",
        "plot/theme",
        "mood/tone",
        "critical acclaim/award",
        "production quality",
        "soundtrack",
    ),
    "books": (
        "genre",
        "author",
        "writing style",
        "theme",
        "setting",
        "length and complexity",
        "time period",
        "literary quality",
        "critical acclaim",
    ),
}
_OURS = str.maketrans(";[]", ",()")  # signs of the short prompt, which no title may write
_NUMBERED = re.compile(r"#(\d+) (.+?) \[[^]]*\];")
SLOT = re.compile(r"#(\d+)")
PHRASE = 5  # words in a row by which a text is said to repeat its prompt
SHOWN = 20  # history items in a short prompt, and what a composed text may speak of: 512 positions hold both


def user_prompt(ratings: Ratings, histories: Histories, user: int) -> str:
    """Who the user is, every rating before the cut, oldest first, and the question."""
    things = ratings.domain
    items, stars = told(histories, user)
    titles = [plain(ratings.items[i].title) for i in items]
    history = "".join(f'"{title}", {r:g} stars; ' for title, r in zip(titles, stars, strict=True))
    who = plain(ratings.profiles[user]) or "a user"
    return (
        f"Given {who}, this user's ratings of {things} over time are listed below. {history}"
        f"Analyse the user's preferences on {things}, considering factors like {_listed(FACTORS[ratings.domain])}. "
        "Give clear explanations based on details from the user's rating history and other pertinent factors."
    )


def short_prompt(ratings: Ratings, histories: Histories, user: int, shown: int = SHOWN) -> str:
    """The same for a small model: the profile, then numbered titles with genres, first the liked, then the disliked.

    Only the latest ``shown`` ratings before the cut are told, oldest first on each line. More than one star above the
    threshold of a positive label is marked as loved. The text to write begins after the last line break.
    """
    items, stars = told(histories, user, shown)
    likes = stars > ratings.positive_above
    lines, number = [], 0
    for name, rows in (("liked", np.flatnonzero(likes)), ("disliked", np.flatnonzero(~likes))):
        titles = []
        for row in rows:
            number += 1
            titles.append(_numbered(number, ratings.items[items[row]], stars[row] > ratings.positive_above + 1))
        lines += [f"{name}: {' '.join(titles)}"] if titles else []
    return "\n".join([plain(ratings.profiles[user]) or "a user", *lines, "preferences:\n"])


def listed_prompt(ratings: Ratings, histories: Histories, user: int, shown: int = SHOWN) -> str:
    """Two lists, what was liked and what was not, each title with its genres, and a question of one sentence.

    The latest ``shown`` ratings before the cut, oldest first.
    """
    items, stars = told(histories, user, shown)
    likes, things = stars > ratings.positive_above, ratings.domain
    lists = []
    for name, rows in (("Liked", np.flatnonzero(likes)), ("Disliked", np.flatnonzero(~likes))):
        lines = [_listed_item(ratings.items[items[row]]) for row in rows] or ["- none"]
        lists.append("\n".join([f"{name}:", *lines]))
    return "\n\n".join(
        [
            f"Here is what {plain(ratings.profiles[user]) or 'a user'} thinks of some {things}.",
            *lists,
            f"Summarize the user's taste in {things} in three sentences. Name the genres, themes and moods the user "
            "enjoys and those the user avoids.",
        ]
    )


def _listed_item(item: Item) -> str:
    """ "- Heat (1995): action, crime;"."""
    of = f": {', '.join(genres(item))}" if genres(item) else ""
    return f"- {plain(item.title + of).translate(_OURS)};"


def _numbered(number: int, item: Item, loved: bool) -> str:
    """ "#3 Heat (1995) [loved action crime];"."""
    marks = (["loved"] if loved else []) + list(genres(item))
    title, of = (plain(text).translate(_OURS) for text in (item.title, " ".join(marks)))
    return f"#{number} {title} [{of}];"


def slotted(prompt: str, text: str) -> str:
    """``text`` with the titles that a short prompt tells replaced by their numbers there, "#3".

    A small model learns in minutes to point at what it was told. To spell it, or to pick it out of thousands of titles,
    takes far more, and one that cannot names whatever is popular.
    """
    for number, title in sorted(_NUMBERED.findall(prompt), key=lambda found: -len(found[1])):
        text = text.replace(title, f"#{number}")
    return text


def filled(prompt: str, text: str) -> str:
    """The other way round; numbers that the prompt does not tell, and texts without numbers, stay as they are."""
    titles = dict(_NUMBERED.findall(prompt))
    return SLOT.sub(lambda slot: titles.get(slot[1], slot[0]), text)


def told(histories: Histories, user: int, shown: int | None = None) -> tuple[Ints32, npt.NDArray[np.float32]]:
    """Items and ratings a text about the user may use: the latest ``shown`` before the cut, oldest first."""
    items, ratings = histories.of(user, before=int(histories.cut[user]))
    first = 0 if shown is None else max(len(items) - shown, 0)
    return items[first:], ratings[first:]


def _listed(factors: tuple[str, ...]) -> str:
    return f"{', '.join(factors[:-1])} and {factors[-1]}"


def faithfulness(prompts: Sequence[str], texts: Sequence[str], titles: Sequence[str]) -> dict[str, float]:
    """Do the texts name what they were told, and say it once? Means over texts of words, of ``titles`` named, of
    different ones among these, of lines that begin with a factor for which the text had a line already, and of lines
    that, without titles, have a word of four letters or more twice; the share of the titles named that the text's own
    prompt holds (0 where none is named), of texts without a word, and of a text's runs of ``PHRASE`` words that its
    prompt holds: a chat model too small for its question repeats it. A writer that is paid for what a reranker makes of
    its texts begins to repeat itself long before it lies.
    """
    longest_first = sorted(map(re.escape, titles), key=len, reverse=True)
    anyone = re.compile(f"({'|'.join(longest_first)})")
    pieces = [anyone.split(text) for text in texts]  # what stands between titles, and at odd places the titles
    named = [parts[1::2] for parts in pieces]
    told_of = [set(anyone.findall(prompt)) for prompt in prompts]
    backed = sum(title in titles_told for parts, titles_told in zip(named, told_of, strict=True) for title in parts)
    count, n = sum(map(len, named)), max(len(texts), 1)
    untitled = [" ".join(parts[::2]).splitlines() for parts in pieces]
    return {
        "words": sum(len(text.split()) for text in texts) / n,
        "titles": count / n,
        "different titles": sum(len(set(of_text)) for of_text in named) / n,
        "factors again": sum(map(_factors_again, untitled)) / n,
        "stammering lines": sum(_stammers(line) for lines in untitled for line in lines) / n,
        "titles the prompt holds": backed / max(count, 1),
        "empty": sum(not text.strip() for text in texts) / n,
        "repeats the prompt": sum(map(_repeated, prompts, texts)) / n,
    }


def _repeated(prompt: str, text: str) -> float:
    """The share of the text's runs of ``PHRASE`` words that the prompt holds; 0 for a shorter text."""
    asked, said = (_runs(words.split()) for words in (prompt, text))
    known = set(asked)
    return sum(run in known for run in said) / max(len(said), 1)


def _runs(words: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(words[k : k + PHRASE]) for k in range(len(words) - PHRASE + 1)]


def _factors_again(lines: Sequence[str]) -> int:
    factors = [line.partition(":")[0].strip().lower() for line in lines if ":" in line]
    return len(factors) - len(set(factors))


def _stammers(line: str) -> bool:
    words = re.findall(r"\w{4,}", line.lower())
    return len(words) != len(set(words))
