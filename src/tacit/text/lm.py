"""The causal language model under the policy: the small default, any hub model or folder, LoRA by one setting."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from tacit.run.limits import at_least, between
from tacit.run.manifest import verify_if_sealed
from tacit.text.adapters import merged, read_adapters
from tacit.text.gguf import gguf_folder, is_gguf
from tacit.text.safe_loading import NO_CODE, WEIGHTS, refuse_code
from tacit.text.tokens import EOS, PAD, SPECIALS
from tacit.types import InputError

LORA_FROM = 1_000_000_000  # parameters; larger models get adapters unless told otherwise
LORA_RANK = 16  # of these; LLaMA-Factory, whose other defaults the writer's tuning has, takes 8


@dataclass
class LMConfig:
    layers: int = at_least(1, default=4)  # of the default model
    heads: int = at_least(1, default=4)
    width: int = at_least(1, default=192)
    positions: int = at_least(16, default=320)  # longest sequence of the default model, in tokens
    vocabulary: int = at_least(260, default=4000)
    dropout: float = between(0.0, 0.9, default=0.0)  # it doubles the forward pass on a CPU
    lora: int = at_least(-1, default=-1)  # rank; 0 = train all weights; -1 = LORA_RANK above one billion parameters

    def conflicts(self) -> Iterator[tuple[str, object, str]]:
        if self.width % self.heads:
            yield "heads", self.heads, f"a number that divides width={self.width}"


def train_tokenizer(texts: Iterable[str], vocabulary: int, whole: Iterable[str] = ()) -> PreTrainedTokenizerFast:
    """Byte-level BPE on the training text: every string has an encoding, no unknown token.

    A phrase of ``whole`` is one token, beyond ``vocabulary``, wherever a space stands before it.
    """
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=list(SPECIALS), initial_alphabet=alphabet, show_progress=False
    )
    bpe.train_from_iterator(texts, trainer)
    bpe.add_tokens([AddedToken(f" {phrase}", normalized=False) for phrase in dict.fromkeys(whole)])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token=PAD, eos_token=EOS, extra_special_tokens=[s for s in SPECIALS[2:]]
    )


def small_lm(tokenizer: PreTrainedTokenizerBase, config: LMConfig) -> PreTrainedModel:
    """A GPT-2 shape with fresh weights, sized for two CPU cores."""
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=len(tokenizer),
            n_positions=config.positions,
            n_embd=config.width,
            n_layer=config.layers,
            n_head=config.heads,
            resid_pdrop=config.dropout,
            embd_pdrop=config.dropout,
            attn_pdrop=config.dropout,
            activation_function="gelu_pytorch_tanh",  # GPT-2's own in one kernel; in five it is a third of a CPU's step
            bos_token_id=tokenizer.eos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def load_pretrained(
    base: str | Path, dtype: torch.dtype | str, key: str, tokenizer: PreTrainedTokenizerBase | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model and tokenizer of a hub name, a folder or a GGUF file, which setting ``key`` names; adapters are merged into
    their base.

    Merged, because adapters that stay apart are frozen: nothing would be trained, and a copy would lack them.
    """
    if is_gguf(base):
        base = gguf_folder(base, key)
    else:
        verify_if_sealed(base)
    base = str(base)
    adapters = read_adapters(base, key)
    whole = adapters.base if adapters else base
    if is_gguf(whole):
        whole = str(gguf_folder(whole, key))
    for source in {base, whole}:
        refuse_code(source, key)
    try:
        tokenizer = tokenizer or load_tokenizer(base, key)
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(whole, dtype=dtype, **WEIGHTS)
    except (OSError, ValueError) as error:
        raise _not_loaded(base, key, error) from error
    return (merged(model, len(tokenizer), adapters, key) if adapters else model), tokenizer


def load_tokenizer(base: str | Path, key: str) -> PreTrainedTokenizerBase:
    """The tokenizer in ``base``; of adapters that were saved without one, that of their base."""
    base = str(gguf_folder(base, key) if is_gguf(base) else base)
    adapters = read_adapters(base, key)
    if adapters and Path(base).is_dir() and not (Path(base) / "tokenizer_config.json").is_file():
        return load_tokenizer(adapters.base, key)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(base, **NO_CODE)
    except (OSError, ValueError) as error:
        raise _not_loaded(base, key, error) from error
    return tokenizer


def _not_loaded(base: str, key: str, error: Exception) -> InputError:
    where = "the folder is incomplete" if Path(base).is_dir() else "no such folder, and the hub did not answer"
    return InputError(
        f"{key}={base!r} cannot be loaded: {where} ({str(error).splitlines()[0]}); "
        "give a folder with config.json, model.safetensors and tokenizer files, a GGUF file, or a hub name while online"
    )


def load_lm(base: str, config: LMConfig) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A hub name or a local folder in the hub's format, with our special tokens added."""
    model, tokenizer = load_pretrained(base, torch.float32, "policy.base")
    known = tokenizer.get_vocab()
    tokenizer.add_special_tokens(
        {
            "pad_token": PAD,
            "eos_token": EOS,
            "extra_special_tokens": [token for token in SPECIALS[2:] if token not in known],
        }
    )
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.config.pad_token_id, model.config.eos_token_id = tokenizer.pad_token_id, tokenizer.eos_token_id
    add_lora(model, config)
    return model, tokenizer


def lora_config(model: PreTrainedModel, rank: int) -> LoraConfig | None:
    """Adapters on every linear layer but the head, α = 2 rank; None where all weights are trained.

    ``rank`` -1 is ``LORA_RANK`` for a model of more than ``LORA_FROM`` parameters, and no adapters for a smaller one.
    """
    if rank < 0:
        rank = LORA_RANK if model.num_parameters() >= LORA_FROM else 0
    if rank == 0:
        return None
    return LoraConfig(
        task_type=TaskType.CAUSAL_LM,
        r=rank,
        lora_alpha=2 * rank,
        target_modules="all-linear",
        fan_in_fan_out=type(model).__name__.startswith("GPT2"),  # Conv1D stores its weight transposed
    )


def add_lora(model: PreTrainedModel, config: LMConfig) -> None:
    """Adapters inside the policy's model, and trainable embeddings for the tokens that were added here."""
    lora = lora_config(model, config.lora)
    if lora is None:
        return
    model.add_adapter(lora)
    embeddings = model.get_input_embeddings()
    if isinstance(embeddings, nn.Embedding):
        embeddings.weight.requires_grad_(True)


def with_lora(model: PreTrainedModel, rank: int) -> Any:
    """The model as a writer is tuned: under adapters that can be switched off and merged, or whole and in float32.

    A step of 5e-5 is lost in a weight kept as bfloat16. Fresh adapters are drawn from torch's own generator.
    """
    lora = lora_config(model, rank)
    if lora is None:
        return model.float()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # peft asks transformers by names that version 5 calls old
        return get_peft_model(model, lora)


def trunk(lm: Any) -> Any:
    """The model without its head, adapters included: tokens → ``last_hidden_state``."""
    return (lm.get_base_model() if isinstance(lm, PeftModel) else lm).base_model


def head_logits(lm: Any, states: Tensor) -> Tensor:
    """Last hidden states [N, width] → logits [N, V] in float32, scaled and softly capped as by the model's own forward.

    The settings' names are those of transformers: Cohere's ``logit_scale``, Granite's ``logits_scaling``, Gemma's
    ``final_logit_softcapping``.
    """
    config = lm.config.get_text_config()
    logits: Tensor = lm.get_output_embeddings()(states).float()
    if getattr(config, "logit_scale", None) is not None:
        logits = logits * config.logit_scale
    if getattr(config, "logits_scaling", None) is not None:
        logits = logits / config.logits_scaling
    cap = getattr(config, "final_logit_softcapping", None)
    return logits if cap is None else cap * torch.tanh(logits / cap)


def max_positions(model: PreTrainedModel) -> int:
    config = model.config
    found = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    return int(found) if found else 1024
