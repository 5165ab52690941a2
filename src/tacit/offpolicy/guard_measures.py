"""Guards measured: candidate and current policy answer the same logged contexts, and what they say is counted.

Slates are drawn as the policies draw by themselves, temperature 1 and no ε: what a server mixes in is the same for
both.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tacit.catalog import Catalog
from tacit.dialogue.policy.act import act
from tacit.dialogue.policy.policy import Policy
from tacit.events.schema import Exposure
from tacit.events.sessions import Link, dialogue
from tacit.events.store import Record, Store, sessions
from tacit.offpolicy.guards import Measured, Side
from tacit.slates import Mixture, logprobs
from tacit.types import Dialogue, Floats64, ItemId, Sample

BATCH = 16


@dataclass(frozen=True)
class Logged:
    """A slate as it was served: what was said before it, how it was drawn, whether it was refused."""

    context: Dialogue
    exposure: Exposure
    refused: bool


def logged_contexts(
    store: Store, catalogs: Sequence[Catalog], most: int, generator: np.random.Generator
) -> list[Logged]:
    """``most`` slates of people who agreed to training, drawn among all whose words are still there, and whose items
    are in every one of the catalogues."""

    def link(text: str) -> tuple[ItemId, ...]:
        return _in_all(tuple(dict.fromkeys(item for _, _, item in catalogs[0].link(text))), catalogs)

    found = []
    for session in sessions(store, "train"):
        items = tuple(shown.item_id for record in session for shown in record.exposure.items)
        if _in_all(items, catalogs) == items:
            found += _of_session(session, link)
    if len(found) <= most:
        return found
    return [found[k] for k in sorted(generator.choice(len(found), most, replace=False).tolist())]


def measure(candidate: Policy, current: Policy, logged: Sequence[Logged], seed: int = 0) -> Measured:
    """Draws of the two policies come from generators of the same seed."""
    contexts = [one.context for one in logged]
    forced = _slates(candidate, contexts, seed), _slates(current, contexts, seed)
    plain = _answers(candidate, contexts, seed), _answers(current, contexts, seed)
    rows = _logits(candidate, contexts), _logits(current, contexts)
    p_recommend = _p_recommend(plain[0]), _p_recommend(plain[1])
    kl = _kl(forced[0], p_recommend, rows, (candidate.catalog, current.catalog))
    rates = _refused(logged, rows[0], candidate.catalog, p_recommend[0])
    return Measured(len(logged), _side(plain[0], forced[0]), _side(plain[1], forced[1]), kl, *rates)


def _side(said: Sequence[Sample], shown: Sequence[Sample]) -> Side:
    words = [len(sample.text.split()) for sample in said]
    items = Counter(item for sample in shown if sample.slate for item in sample.slate.items)
    return Side(float(np.mean(words)) if words else 0.0, items)


def _in_all(items: Sequence[ItemId], catalogs: Sequence[Catalog]) -> tuple[ItemId, ...]:
    return tuple(item for item in items if all(item in catalog for catalog in catalogs))


def _of_session(session: Sequence[Record], link: Link) -> list[Logged]:
    """Every delivered slate of a session, after what was said before it."""
    whole = dialogue(session, link)
    if whole is None:
        return []
    by_items = {tuple(shown.item_id for shown in record.exposure.items): record.exposure for record in session}
    found = []
    for t, turn in enumerate(whole.turns):
        if turn.slate is None or turn.slate.items not in by_items or not t:
            continue
        judged = (whole.judgements.get(item) for item in turn.slate.items)
        refused = any(one is not None and one.liked is False for one in judged)
        found.append(Logged(whole.before(t), by_items[turn.slate.items], refused or _unwanted(turn.feedback)))
    return found


def _unwanted(feedback: object) -> bool:
    return getattr(feedback, "accepted", None) is False


def _slates(policy: Policy, contexts: Sequence[Dialogue], seed: int) -> list[Sample]:
    """As if it had decided to recommend everywhere."""
    generator = torch.Generator().manual_seed(seed)
    return [
        sample
        for start in range(0, len(contexts), BATCH)
        for sample in act(policy, contexts[start : start + BATCH], generator, decide="recommend", write=False)
    ]


def _answers(policy: Policy, contexts: Sequence[Dialogue], seed: int) -> list[Sample]:
    generator = torch.Generator().manual_seed(seed)
    return [
        sample
        for start in range(0, len(contexts), BATCH)
        for sample in act(policy, contexts[start : start + BATCH], generator)
    ]


@torch.no_grad()
def _logits(policy: Policy, contexts: Sequence[Dialogue]) -> Floats64:
    """[n, items], after a decision to recommend; what was named already is out of reach."""
    rows = []
    for start in range(0, len(contexts), BATCH):
        part = contexts[start : start + BATCH]
        prompts = [[*policy.prompt(context), policy.layout.recommend] for context in part]
        last = torch.tensor([len(prompt) - 1 for prompt in prompts], device=policy.device)
        state = policy.trunk(prompts)[torch.arange(len(part), device=policy.device), last]
        window = policy.encoder.encode([policy.window_text(context) for context in part])
        rows.append(policy.slate_scores(window, state, part).double().cpu().numpy())
    return np.concatenate(rows) if rows else np.zeros((0, len(policy.catalog)))


def _p_recommend(samples: Sequence[Sample]) -> Floats64:
    drawn = np.exp([sample.logprobs[0] for sample in samples])
    return np.where([sample.slate is not None for sample in samples], drawn, 1.0 - drawn)


def _kl(
    slates: Sequence[Sample],
    p_recommend: tuple[Floats64, Floats64],
    logits: tuple[Floats64, Floats64],
    catalogs: tuple[Catalog, Catalog],
) -> float | None:
    """The decision's, exactly, and the slate's by one draw a context: Σ_k log P(k | before) - log P'(k | before)."""
    if not len(slates):
        return None
    p, q = (np.clip(part, 1e-12, 1.0 - 1e-12) for part in p_recommend)
    decision = p * np.log(p / q) + (1.0 - p) * np.log((1.0 - p) / (1.0 - q))
    of_slates = np.zeros(len(slates))
    for n, sample in enumerate(slates):
        items = sample.slate.items if sample.slate else ()
        if any(item not in catalogs[1] for item in items):
            return float("inf")
        own, other = (
            logprobs(row[n], [catalog.index(item) for item in items]).sum()
            for row, catalog in zip(logits, catalogs, strict=True)
        )
        of_slates[n] = own - other
    return float((decision + p * of_slates).mean())


def _refused(
    logged: Sequence[Logged], logits: Floats64, catalog: Catalog, p_recommend: Floats64
) -> tuple[float | None, float | None]:
    """Share of refused slates: weighed by what the candidate would have done (SNIPS), and as it was."""
    if not logged:
        return None, None
    was = np.array([one.refused for one in logged], dtype=np.float64)
    weights = np.array(
        [_ratio(one.exposure, logits[n], catalog, float(p_recommend[n])) for n, one in enumerate(logged)]
    )
    total = float(weights.sum())
    return (float((weights * was).sum() / total) if total > 0.0 else None), float(was.mean())


def _ratio(exposure: Exposure, logits: Floats64, catalog: Catalog, p_recommend: float) -> float:
    """Decision and slate, of the candidate served as this slate was."""
    rows = [catalog.index(shown.item_id) for shown in exposure.items]
    mixture = Mixture(exposure.epsilon, exposure.temperature, exposure.top_k or None, exposure.top_p)
    own = logprobs(logits, rows, mixture).sum() + np.log(max(p_recommend, 1e-300))
    return float(np.exp(own - exposure.logprob))
