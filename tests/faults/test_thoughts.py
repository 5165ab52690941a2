"""Thoughts of models: every way of writing them, whole or cut."""

from __future__ import annotations

import pytest

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
