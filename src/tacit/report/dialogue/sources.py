"""Whose dialogues a run learnt from, in words: nothing is called human that a machine or a generator may have said."""

from __future__ import annotations

from dataclasses import dataclass

from tacit.report.run_files import RunFiles


@dataclass(frozen=True)
class Source:
    recommender: str  # who named the items
    replies: str  # what the held-out replies are called
    users: str  # who answered
    invented: bool = False  # nobody said any of it


PEOPLE = Source("the human recommender", "people's replies", "people")
LOGGED = Source("the logged agent", "logged replies", "the logged users")
INVENTED = Source("the scripted agent of the made-up world", "scripted replies", "the made-up users", invented=True)
SOURCES = {"redial": PEOPLE, "opendialkg": PEOPLE, "synthetic": INVENTED}
PAPER = ("redial", "opendialkg")  # the data of arXiv 2508.05289: only beside these do its numbers stand


def source_of(run: RunFiles) -> Source:
    """Anything but the public data and the made-up world is a log."""
    return SOURCES.get(run.dataset.partition("-")[0], LOGGED)  # opendialkg-books is a part of opendialkg
