"""Thoughts of models: every way of writing them, whole or cut."""

from __future__ import annotations

import pytest
from fault_examples import FAULTS
from hypothesis import given
from hypothesis import strategies as st

from tacit.data.thoughts import has_thoughts, without_thoughts


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("<think>\nHorror? No.\n</think>\n\nGenre: drama.", "Genre: drama."),
        ("<THINK>a</Think>b", "b"),
        ("<thinking>a</thinking> b", "b"),
        ("<thought>a</thought>b", "b"),
        ("<reasoning>a</reasoning>b", "b"),
        ("[THINK]a[/THINK]b", "b"),
        ("◁think▷a◁/think▷b", "b"),
        ("a < b, <b>bold</b>, I think.", "a < b, <b>bold</b>, I think."),
        ("  no tags \n", "  no tags \n"),
        ("Okay, let me see.\n</think>\n\nLikes noir.", "Likes noir."),  # the template wrote the opening tag
        ("<think>\nOkay, so the user rated", ""),  # cut while thinking
        ("Likes noir. <think>Or not", "Likes noir."),
        ("a <think>b</think> c <think>d</think> e", "a  c  e"),
        ("<think>I may write <think> again</think>b", "b"),
        ("<think>a <think>b</think> c</think> d", "d"),
        ("a</think>b</think>c", "c"),
        ("<think></think>b", "b"),
        ("</think>", ""),
        ("", ""),
        (
            "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>Likes noir.<|return|>",
            "Likes noir.",
        ),
        ("<|channel|>analysis<|message|>hm", ""),
    ],
)
def test_answer(text: str, answer: str) -> None:
    assert without_thoughts(text) == answer
    assert without_thoughts(answer) == answer
    assert has_thoughts(text) == (text != answer)


NAMES = ["think", "Thinking", "REASONING"]
TAGS = ["<think>", "</think>", "<THINKING>", "</Thought>", "[THINK]", "[/THINK]", "<", ">", "</", "\n"]
PIECES = st.lists(
    st.one_of(
        st.sampled_from(
            ["<think>", "</think>", "<THINKING>", "</Thought>", "[THINK]", "[/THINK]", "<", ">", "</", "\n"]
        ),
        st.sampled_from(["<|channel|>", "analysis", "final", "<|message|>", "<|end|>", "<|start|>", "assistant"]),
        st.text(max_size=6),
    ),
    max_size=12,
)


@FAULTS
@given(PIECES)
def test_any_text_has_an_answer(pieces: list[str]) -> None:
    text = "".join(pieces)
    answer = without_thoughts(text)
    assert len(answer) <= len(text)
    if not has_thoughts(text):
        assert answer == text


@FAULTS
@given(
    st.text("abc <>/\n", max_size=20),
    st.text("abc \n", max_size=20),
    st.sampled_from(["think", "Thinking", "REASONING"]),
)
def test_what_stands_between_tags_never_stays(thought: str, answer: str, tag: str) -> None:
    for text in (f"<{tag}>{thought}</{tag}>{answer}", f"{thought}</{tag}>{answer}", f"{answer}<{tag}>{thought}"):
        assert without_thoughts(text) == answer.strip()
