"""What a person did with each shown item, by hand."""

from __future__ import annotations

from tacit.dialogue.responses import Response, responses
from tacit.types import Dialogue, Feedback, Judgement, Slate, Turn


def answers(*items: str, feedback: Feedback | None = None, said: tuple[str, ...] = (), **liked: bool) -> dict[str, str]:
    """Item → ``rejected``, or what is known of it."""
    shown = Turn("agent", "See these.", items, Slate(items), feedback)
    judgements = {item: Judgement(liked=word) for item, word in liked.items()}
    dialogue = Dialogue("d", "u", (Turn("user", "hi"), shown, Turn("user", "well", said)), judgements)
    return {
        item: "rejected" if r.rejected else ",".join(n for n in ("clicked", "accepted", "liked") if getattr(r, n))
        for item, r in responses(dialogue, 1).items()
    }


def test_nothing_logged_is_nothing_known() -> None:
    dialogue = Dialogue("d", "u", (Turn("user", "hi"), Turn("agent", "x", ("a",), Slate(("a",)))))
    assert responses(dialogue, 1) == {"a": Response(None, None, None)}
    assert responses(dialogue, 0) == {}
    assert not Response().rejected


def test_the_persons_own_word_decides() -> None:
    assert answers("a", "b", a=False, b=True) == {"a": "rejected", "b": "liked"}
    assert answers("a", feedback=Feedback(accepted=False), a=True) == {"a": "liked"}
    assert answers("a", feedback=Feedback(accepted=True), a=False) == {"a": "rejected"}


def test_what_was_not_taken_is_rejected_unless_it_was_clicked() -> None:
    assert answers("a", "b", feedback=Feedback(accepted=False)) == {"a": "rejected", "b": "rejected"}
    seen = Feedback(accepted=False, clicked=("b",))
    assert answers("a", "b", feedback=seen) == {"a": "rejected", "b": "clicked"}


def test_not_clicking_alone_rejects_nothing() -> None:
    assert answers("a", "b", feedback=Feedback(clicked=("a",))) == {"a": "clicked", "b": ""}


def test_which_item_was_taken() -> None:
    """The only one shown, else the only one clicked, else the only one named next; else nobody knows."""
    taken = Feedback(accepted=True)
    assert answers("a", feedback=taken) == {"a": "accepted"}
    assert answers("a", "b", feedback=taken) == {"a": "", "b": ""}
    assert answers("a", "b", feedback=taken, said=("b",)) == {"a": "rejected", "b": "accepted"}
    one = Feedback(accepted=True, clicked=("a",))
    assert answers("a", "b", feedback=one, said=("b",)) == {"a": "clicked,accepted", "b": "rejected"}
    both = Feedback(accepted=True, clicked=("a", "b"))
    assert answers("a", "b", feedback=both) == {"a": "clicked", "b": "clicked"}
