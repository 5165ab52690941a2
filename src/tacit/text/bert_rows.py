"""BERT's layers as plain products over rows side by side, without padding: what most sentence encoders are.

Linear layers see real tokens only, query, key and value in one product; attention goes over rows of one length
together, so that it needs no mask. Differentiable. What is not a plain BERT goes through its own modules.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn
from transformers import BertModel

from tacit.text.products import linear, spare_rows


def is_plain(model: SentenceTransformer) -> bool:
    """Whether it is BERT as published, nothing wrapped around its layers, without dropout, mean-pooled, padded on the
    right."""
    kinds = [type(module).__name__ for module in model]  # the library's modules moved between its versions
    if kinds[:2] != ["Transformer", "Pooling"] or kinds[2:] not in ([], ["Normalize"]):
        return False
    first: Any = model[0]
    bert: Any = first.auto_model
    return (
        type(bert) is BertModel
        and not bert.training
        and _pooled_by(model[1]) == "mean"
        and model.tokenizer.padding_side == "right"
        and bert.config.hidden_act == "gelu"
        and getattr(bert.config, "position_embedding_type", "absolute") == "absolute"
        and not (bert.config.is_decoder or bert.config.add_cross_attention)
        and all(type(of) in (nn.Linear, nn.Embedding, nn.LayerNorm) for of in bert.modules() if hasattr(of, "weight"))
    )


class BertRows:
    """A plain BERT as it is now: made anew after its weights have changed."""

    def __init__(self, model: SentenceTransformer) -> None:
        first: Any = model[0]
        self.bert: Any = first.auto_model
        own = [layer.attention.self for layer in self.bert.encoder.layer]
        parts = [(layer.query, layer.key, layer.value) for layer in own]
        self.three = [(torch.cat([part.weight for part in of]), torch.cat([part.bias for part in of])) for of in parts]

    def means(self, ids: Tensor, lengths: Sequence[int]) -> Tensor:
        """Means of the last hidden states of rows: ids [rows, longest or more], rising ``lengths`` [rows], the tokens
        of each from its left → [rows, width]."""
        bert, device = self.bert, ids.device
        count = torch.tensor(lengths, device=device)
        real = torch.arange(ids.shape[1], device=device) < count.unsqueeze(1)
        spare = (0, spare_rows(sum(lengths), device))
        tokens, places = (nn.functional.pad(part, spare) for part in (ids[real], real.nonzero()[:, 1]))
        table = bert.embeddings
        words = nn.functional.embedding(tokens, table.word_embeddings.weight, sparse=True)
        x = words + table.token_type_embeddings.weight[0]
        x = table.LayerNorm(x + nn.functional.embedding(places, table.position_embeddings.weight))
        shapes = [(len(list(rows)), length) for length, rows in groupby(lengths)]
        for layer, (weight, bias) in zip(bert.encoder.layer, self.three, strict=True):
            out, inner, end = layer.attention.output, layer.intermediate.dense, layer.output
            seen = self._attend(linear(x, weight, bias), shapes)
            x = out.LayerNorm(_through(out.dense, seen) + x)
            x = end.LayerNorm(_through(end.dense, nn.functional.gelu(_through(inner, x))) + x)
        sums = [
            part.view(rows, length, -1).sum(1) for part, (rows, length) in zip(_parts(x, shapes), shapes, strict=True)
        ]
        return torch.cat(sums) / count.unsqueeze(1)

    def _attend(self, three: Tensor, shapes: Sequence[tuple[int, int]]) -> Tensor:
        """Query, key and value side by side, [T, 3 · width] → [T, width]; tokens of no row see nothing."""
        heads, found, width = self.bert.config.num_attention_heads, [], three.shape[1] // 3
        for part, (rows, length) in zip(_parts(three, shapes), shapes, strict=True):
            q, k, v = part.view(rows, length, 3, heads, -1).permute(2, 0, 3, 1, 4)
            found.append(nn.functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2).flatten(0, 1))
        found.append(three.new_zeros(len(three) - sum(map(len, found)), width))
        return torch.cat(found)


def _through(layer: nn.Linear, x: Tensor) -> Tensor:
    return linear(x, layer.weight, layer.bias)


def _parts(x: Tensor, shapes: Sequence[tuple[int, int]]) -> Sequence[Tensor]:
    sizes = [rows * length for rows, length in shapes]
    parts: Sequence[Tensor] = x[: sum(sizes)].split(sizes)
    return parts


def _pooled_by(pooling: Any) -> str:
    """Of sentence-transformers 5 and 6."""
    told = pooling.get_pooling_mode_str() if hasattr(pooling, "get_pooling_mode_str") else pooling.pooling_mode
    return str(told)
