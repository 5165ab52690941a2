"""The causal language model under the policy: the small default, any hub model or folder, LoRA by one setting."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, TaskType, get_peft_model
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
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
from tacit.text.added_rows import begin_rows, train_rows_alone
from tacit.text.chat_markup import Markup, chat_markup
from tacit.text.gguf import gguf_folder, is_gguf
from tacit.text.products import OwnProducts, spare_rows
from tacit.text.safe_loading import NO_CODE, WEIGHTS, refuse_code
from tacit.text.tokens import AGENT, CHAT, DESCRIBED, EOS, PAD, RECOMMEND, REPLY, SLOTS, SPECIALS, USER
from tacit.types import InputError

MOST_LOGITS = 2**24  # 64 MB in float32, and as much again for each of the softmax, its gradient and a mask
# weights below → rows: SmolLM2 keeps about 1.2 MB a token for its backward pass, and a row has some 250 tokens
ROWS_A_PASS: Mapping[float, int] = {20e6: 4096, 300e6: 4, 1e9: 2, math.inf: 1}
LORA_FROM = 1_000_000_000  # parameters; larger models get adapters unless told otherwise
SAME_STATES = 1e-5  # relative distance: exactly 0 in causal models, .004 in a small BERT with fresh weights
READS = "read_states"  # the entrance of a model that is held in parts
LORA_RANK = 16  # of these; LLaMA-Factory, whose other defaults the writer's tuning has, takes 8


@dataclass
class LMConfig:
    layers: int = at_least(1, default=4)  # of the default model
    heads: int = at_least(1, default=4)
    width: int = at_least(1, default=192)
    positions: int = at_least(16, default=320)  # longest sequence of the default model, in tokens
    vocabulary: int = at_least(260, default=4000)
    dropout: float = between(0.0, 0.9, default=0.0)  # it doubles the forward pass on a CPU
    # of a pretrained model: the rank of adapters; 0 = train all weights; -1 = LORA_RANK from a billion parameters on
    lora: int = at_least(-1, default=-1)
    frozen: float = between(0.0, 1.0, default=0.0)  # share of its layers, from the lowest, that stay as they are

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
    require_causal(model, base, key)
    return (merged(model, len(tokenizer), adapters, key) if adapters else model), tokenizer


@torch.no_grad()
def require_causal(model: PreTrainedModel, base: str, key: str) -> None:
    """InputError where a token's state depends on later tokens, for transformers loads an encoder such as BERT as a
    language model too, which then learns to copy what it is to foretell; and where nothing of a text is kept for the
    next token in the one form that every attention has (Mamba, RWKV)."""
    model.eval()  # as it is loaded; no dropout between the two
    rows = [torch.tensor([row], device=model.device) for row in ([1, 2, 3, 4], [1, 2, 5, 6])]
    outs = [model.base_model(input_ids=row, use_cache=True) for row in rows]
    states = [getattr(out, "last_hidden_state", None) for out in outs]
    one, other = (torch.zeros(1) if state is None else state[0, :2].float() for state in states)
    if (one - other).norm() > SAME_STATES * one.norm():
        raise InputError(
            f"{key}={base!r} is a {type(model).__name__} that reads in both directions: give a causal language model."
        )
    if states[0] is None or getattr(outs[0], "past_key_values", None) is None:
        raise InputError(
            f"{key}={base!r} is a {type(model).__name__}, which keeps no keys and values of its own: give a causal "
            "language model with attention."
        )


def load_tokenizer(base: str | Path, key: str) -> PreTrainedTokenizerBase:
    """The tokenizer in ``base``; of adapters that were saved without one, that of their base."""
    base = str(gguf_folder(base, key) if is_gguf(base) else base)
    adapters = read_adapters(base, key)
    if adapters and Path(base).is_dir() and not (Path(base) / "tokenizer_config.json").is_file():
        return load_tokenizer(adapters.base, key)
    if Path(base).is_dir() and (Path(base) / "config.json").is_file() and not _has_tokenizer(Path(base)):
        raise _not_loaded(base, key, ValueError("transformers would make an empty one"))
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(base, **NO_CODE)
    except (OSError, ValueError) as error:
        raise _not_loaded(base, key, error) from error
    return tokenizer


def _not_loaded(base: str, key: str, error: Exception) -> InputError:
    where = _lacks(Path(base)) if Path(base).is_dir() else "no such folder, and the hub did not answer"
    return InputError(
        f"{key}={base!r} cannot be loaded: {where} ({(str(error).splitlines() or [type(error).__name__])[0]}); "
        "give a folder with config.json, model.safetensors and tokenizer files, a GGUF file, or a hub name while online"
    )


def _lacks(folder: Path) -> str:
    """What a folder that does not load is without."""
    names = {path.name for path in folder.iterdir()}
    if not _has_tokenizer(folder):
        return "the folder has no tokenizer"
    if not names & {"config.json", "adapter_config.json"}:
        return "the folder has no config.json"
    if not any(name.endswith(".safetensors") for name in names):
        return "the folder has no weights in safetensors"
    return "its files are no causal language model, or damaged"


def _has_tokenizer(folder: Path) -> bool:
    return any(
        path.name.startswith(("tokenizer", "vocab")) or path.suffix in (".model", ".tiktoken")
        for path in folder.iterdir()
    )


def load_lm(base: str, config: LMConfig) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, Markup, list[int]]:
    """A pretrained base as a policy's model: with it its tokenizer, its markup and the tokens that were added to it.

    Added is what the model lacks: decisions, ``<reply>`` and slots, and marks of turns where it has no chat template.
    """
    model, tokenizer = load_pretrained(base, torch.float32, "policy.base")
    markup = chat_markup(tokenizer)
    wanted = [token for token in (USER, AGENT, EOS) if token in (markup.user_open, markup.agent_open, markup.end)]
    known = tokenizer.get_vocab()
    lacking = [token for token in (*wanted, RECOMMEND, CHAT, REPLY, *SLOTS) if token not in known]
    tokenizer.add_special_tokens({"extra_special_tokens": lacking}, replace_extra_special_tokens=False)
    if tokenizer.eos_token is None:
        tokenizer.eos_token = markup.end
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    embedding: Any = model.get_input_embeddings()
    if len(tokenizer) > embedding.weight.shape[0]:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    vocabulary = tokenizer.get_vocab()
    added = [vocabulary[token] for token in lacking]
    words = [tokenizer.encode(DESCRIBED[token], add_special_tokens=False) for token in lacking]
    begin_rows(model, dict(zip(added, words, strict=True)))
    model.config.pad_token_id, model.config.eos_token_id = tokenizer.pad_token_id, tokenizer.eos_token_id
    train_parts(model, config, added)
    return model, tokenizer, markup, added


def lora_config(model: PreTrainedModel, rank: int, below: int = 0) -> LoraConfig | None:
    """Adapters on every linear layer but the head, α = 2 rank, above the lowest ``below`` layers; None where all
    weights are trained.

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
        exclude_modules=_names_below(model, below),
        fan_in_fan_out=type(model).__name__.startswith("GPT2"),  # Conv1D stores its weight transposed
    )


def _names_below(model: PreTrainedModel, below: int) -> str | None:
    """A pattern of the names in the lowest layers; None where there are none."""
    numbers = "|".join(map(str, range(below)))
    return rf"{re.escape(decoder_layers(model)[0])}\.({numbers})\..*" if below else None


def train_parts(model: PreTrainedModel, config: LMConfig, added: Sequence[int] | None) -> None:
    """Freeze what is not trained of a policy's pretrained model, and put its adapters in.

    Under adapters, and with the lowest layers frozen, the embeddings are frozen too, but for the rows of ``added``
    tokens (None: a policy of before, whose adapters train the whole input embedding).
    """
    below = frozen_layers(model, config.frozen)
    lora = lora_config(model, config.lora, below)
    if lora is not None:
        model.add_adapter(lora)
    elif below:
        _freeze_below(model, below)
    if added is not None and (lora is not None or below):
        train_rows_alone(model, added, below=below > 0)
    elif lora is not None:
        model.get_input_embeddings().requires_grad_(True)


def _freeze_below(model: PreTrainedModel, below: int) -> None:
    """The lowest layers, and what is read before them, such as positions."""
    layers = decoder_layers(model)[1]
    layers[:below].requires_grad_(False)
    home = next(module for module in model.modules() if any(child is layers for child in module.children()))
    for child in home.children():
        if child is layers:
            return
        child.requires_grad_(False)


def frozen_layers(model: PreTrainedModel, share: float) -> int:
    """How many of the lowest layers ``share`` of them is, rounded down."""
    return int(share * len(decoder_layers(model)[1])) if share else 0


def decoder_layers(model: PreTrainedModel) -> tuple[str, nn.ModuleList]:
    """The model's layers, lowest first, and their name in it; ``InputError`` where they cannot be told."""
    count = int(model.config.get_text_config().num_hidden_layers)
    for name, module in model.named_modules():
        if isinstance(module, nn.ModuleList) and len(module) == count:
            return name, module
    raise InputError(f"the layers of {type(model).__name__} cannot be told apart: set policy.lm.frozen=0.")


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


def read(lm: Any, **inputs: Any) -> Any:
    """What the trunk tells of its inputs, ``last_hidden_state`` among it. A model of which this process holds a part
    has an entrance of its own (``sharding``)."""
    return getattr(lm, READS, trunk(lm))(**inputs)


def head_logits(lm: Any, states: Tensor) -> Tensor:
    """Last hidden states [N, width] → logits [N, V] in float32, scaled and softly capped as by the model's own forward.

    The settings' names are those of transformers: Cohere's ``logit_scale``, Granite's ``logits_scaling``, Gemma's
    ``final_logit_softcapping``.
    """
    config = lm.config.get_text_config()
    rows = len(states)
    if states.requires_grad:  # where few shapes are worth more than few rows
        states = nn.functional.pad(states, (0, 0, 0, spare_rows(rows, states.device)))
    with OwnProducts():
        logits: Tensor = lm.get_output_embeddings()(states)[:rows].float()
    if getattr(config, "logit_scale", None) is not None:
        logits = logits * config.logit_scale
    if getattr(config, "logits_scaling", None) is not None:
        logits = logits / config.logits_scaling
    cap = getattr(config, "final_logit_softcapping", None)
    return logits if cap is None else cap * torch.tanh(logits / cap)


def rows_a_pass(lm: Any) -> int:
    """How many conversations of usual length a forward pass with gradients may hold: by the number of weights, for a
    machine of 16 GB; four times as many on a GPU."""
    count = sum(parameter.numel() for parameter in lm.parameters())
    allowed = next(rows for below, rows in ROWS_A_PASS.items() if count < below)
    return allowed if next(lm.parameters()).device.type == "cpu" else 4 * allowed


def over_vocabulary(
    lm: Any, states: Tensor, measure: Callable[[Tensor, slice], Tensor], most_logits: int = MOST_LOGITS
) -> Tensor:
    """``measure`` of the logits of N states [N, width], in pieces of no more than ``most_logits`` logits at once.

    ``measure`` takes float32 logits [n, V] and which of the N they are of, and gives [n, …]. Where there is more than
    one piece, the logits are made once more in the backward pass, so that only one piece of them is ever held.
    """
    size = max(1, most_logits // int(lm.get_output_embeddings().weight.shape[0]))

    def piece(start: int) -> Tensor:
        return measure(head_logits(lm, states[start : start + size]), slice(start, start + size))

    if len(states) <= size:
        return piece(0)
    again = torch.is_grad_enabled() and states.requires_grad
    starts = range(0, len(states), size)
    return torch.cat([checkpoint(piece, start, use_reentrant=False) if again else piece(start) for start in starts])


def max_positions(model: PreTrainedModel) -> int:
    config = model.config
    found = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None)
    return int(found) if found else 1024
