"""A chat template taken apart: put together again it is what the template renders, for templates of many forms."""

from __future__ import annotations

import pytest
import tiny_gguf
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from tacit.text.chat_markup import SPECIAL, Markup, chat_markup

TURNS = "{% for m in messages %}"
CHATML_WITH_SYSTEM = (
    TURNS + "{% if loop.first and m['role'] != 'system' %}<|im_start|>system\nYou help.<|im_end|>\n{% endif %}"
    "<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA3 = (
    "{{ bos_token }}" + TURNS + "<|start_header_id|>{{ m['role'] }}<|end_header_id|>\n\n{{ m['content'] | trim }}"
    "<|eot_id|>{% endfor %}{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}"
    + TURNS
    + "{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles') }}{% endif %}"
    "<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n{{ m['content'] | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}" + TURNS + "{% if m['role'] == 'user' %}[INST] {{ m['content'] }}[/INST]"
    "{% else %} {{ m['content'] }}</s>{% endif %}{% endfor %}"
)
THINKING = (
    TURNS + "<|im_start|>{{ m['role'] }}\n"
    "{% if loop.last and m['role'] == 'assistant' %}<think>\n\n</think>\n\n{% endif %}{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}"
)
NO_END = TURNS + "{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
CONTROL = ["<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
CONTROL += ["<start_of_turn>", "<end_of_turn>", "[INST]", "[/INST]"]


def tokenizer(template: str | None, eos: str | None = "</s>") -> PreTrainedTokenizerBase:
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    bpe = Tokenizer(models.BPE({letter: i for i, letter in enumerate(alphabet)}, []))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<s>", eos_token=eos, extra_special_tokens=CONTROL)
    made.chat_template = template
    return made


@pytest.mark.parametrize(
    ("template", "markup"),
    [
        (tiny_gguf.CHAT, ("", "<|im_start|>user\n", "<|im_end|>\n", "<|im_start|>assistant\n", "<|im_end|>", "\n")),
        (LLAMA3, ("<s>", "<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>",
                  "<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>", "")),
        (GEMMA, ("<s>", "<start_of_turn>user\n", "<end_of_turn>\n", "<start_of_turn>model\n", "<end_of_turn>", "\n")),
        (MISTRAL, ("<s>", "[INST] ", "", "[/INST] ", "</s>", "")),
        (CHATML_WITH_SYSTEM, ("<|im_start|>system\nYou help.<|im_end|>\n", "<|im_start|>user\n", "<|im_end|>\n",
                              "<|im_start|>assistant\n", "<|im_end|>", "\n")),
    ],
)  # fmt: skip
def test_put_together_again_it_is_the_template(template: str, markup: tuple[str, ...]) -> None:
    made = tokenizer(template)
    found = chat_markup(made)
    assert found == Markup(*markup)
    messages = [{"role": "user" if i % 2 == 0 else "assistant", "content": text} for i, text in enumerate("abcd")]
    turns = [
        f"{found.user_open}{text}{found.user_close}" if i % 2 == 0
        else f"{found.agent_open}{text}{found.end}{found.after}"
        for i, text in enumerate("abcd")
    ]  # fmt: skip
    assert found.head + "".join(turns) == made.apply_chat_template(messages, tokenize=False)


def test_without_a_template_or_with_one_that_cannot_be_taken_apart() -> None:
    own_end = Markup("", "<user>", "", "<agent>", "</s>", "")
    for template in (None, NO_END, THINKING, "{{ raise_exception('no') }}", "{{ messages[0]['role'] }}"):
        assert chat_markup(tokenizer(template)) == own_end
    assert chat_markup(tokenizer(None, eos=None)) == SPECIAL
