"""What reasoning models think is not what they say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.data.thoughts import has_thoughts, without_thoughts


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Try Heat (1995).", "Try Heat (1995)."),
        ("I think <3 is [fine]", "I think <3 is [fine]"),
        ("<think>a or c?</think>Try b.", "Try b."),
        ("Hm. <think>a or c?</think> Try b.", "Hm.  Try b."),
        ("a or c?\n</think>\n\nTry b.", "Try b."),
        ("<think>a or c, cut", ""),
        ("<think>a<think>b</think>c</think>Try b.", "Try b."),
        ("<think></think>Try b.", "Try b."),
        ("<Thinking>a</Thinking><think>c</think>Try b.", "Try b."),
        ("<reasoning effort='high'>a</reasoning><answer>Try b.</answer>", "Try b."),
        ("[THINK]a[/THINK]Try b.", "Try b."),
        ("◁think▷a◁/think▷Try b.", "Try b."),
        ("<|channel|>analysis<|message|>a or c<|end|><|start|>assistant<|channel|>final<|message|>Try b.", "Try b."),
        ("<|channel|>analysis<|message|>a or c, cut", ""),
        ("analysisa or c?assistantfinalTry b.", "Try b."),
    ],
)
def test_forms(text: str, shown: str) -> None:
    assert without_thoughts(text) == shown
    assert has_thoughts(text) == (text != shown)


@given(st.text(alphabet="<>/think |[]ab", max_size=40))
def test_once_is_enough(text: str) -> None:
    shown = without_thoughts(text)
    assert "<think>" not in shown
    assert has_thoughts(text) or shown == text
