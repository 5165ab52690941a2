"""What `data check` says a run can observe is what the reward's labels then observe."""

from __future__ import annotations

import pytest

from tacit.data.dialogues.observed import Observed
from tacit.types import Dialogue, Feedback, Slate, Turn


@pytest.mark.parametrize(
    ("feedback", "engaged"),
    [
        (None, 0),
        (Feedback(accepted=True, left=False), 0),  # going on and not leaving are one part of two
        (Feedback(clicked=()), 1),
        (Feedback(dwell_s=2.0), 1),
    ],
)
def test_engagement_needs_more_than_that_the_talk_goes_on(feedback: Feedback | None, engaged: int) -> None:
    shown = Turn("agent", "See this.", ("a",), Slate(("a",)), feedback)
    observed = Observed()
    observed.add(Dialogue("d", "u", (Turn("user", "hi"), shown, Turn("user", "ok"))))
    assert observed.seen["engagement"] == engaged
