"""Aligning a writer with the scores of its texts themselves: PPO whose scorer is the reranker, without a critic.

A round's users come in batches. For each batch the writer as it now is writes N texts a user, the scorer (for RLRF4Rec
the NDCG of rerankers that never saw the user) gives each text one number, and a few epochs of the clipped objective
follow. Together the batches cost N texts a user, as one round of pairs does, but every batch is written by the writer
that learns from it.

There is no critic: a text gets one reward, at its end, so a critic would have to foresee from half a text what the
mean of N texts of the same prompt already tells for nothing. That mean is the baseline (``losses.group_advantages``).

Texts are drawn from the writer's whole distribution, less the titles that their line has named already
(``generate.NoRepeatPerLine``, which holds for every text that is read): under top_p < 1 their probability would
not be the one that the ratio and the KL are about. The KL to the writer before the round is charged to each text as
k1, summed over its tokens: the gradient of that is the reverse KL's, which that of k3 in the loss is not
(arXiv 2510.01555).
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from transformers import PreTrainedTokenizerBase

from tacit.rerank.align.feedback import read_groups, write_groups
from tacit.rerank.align.ppo_learner import Learner, Task, WriterPPOConfig
from tacit.rerank.align.tune import save_writer
from tacit.run.config import check_types
from tacit.run.folder import Stage
from tacit.run.progress import progress
from tacit.run.stopped import require_finite, stopped_folder
from tacit.types import Group, InputError, Scorer


def align_by_scores(
    lm_folder: str | Path,
    tokenizer: PreTrainedTokenizerBase,
    task: Task,
    scorer: Scorer,
    config: WriterPPOConfig,
    stage: Stage,
    seed: int,
    device: str = "cpu",
    dtype: str = "float32",
) -> list[Group]:
    """One round: the model in ``lm_folder`` learns to write what ``scorer`` scores high; every group that was scored.

    The model goes to ``stage.folder / "writer"``, each batch's texts and scores to ``samples/``, and a row a batch to
    the log: reward and its standard deviation within users (units of the scorer), the mean of each of the scorer's
    channels, KL to the round's first writer (nats a text), all before the batch's steps; loss, clip fraction and
    gradient norm, means over its minibatches. Resumes to the bit after a kill, at the batch it was in; a finished stage
    is only read.
    """
    check_types(config, "align.ppo.")
    batches = _batches(task, config, seed)
    files = [stage.folder / "samples" / f"{number:05d}.jsonl" for number in range(1, len(batches) + 1)]
    if not stage.done():
        learner = Learner.load(lm_folder, tokenizer, task, config, seed, device, dtype)
        resumable = learner.resumable(stage)
        done, _ = resumable.restore()
        everything = dict(learner.lm.named_parameters())  # those under adapters too: they are drawn from
        require_finite(everything, stopped_folder(stage.folder, done), stage.name, "before it began", "tune it again")
        with progress(len(batches), stage.name) as bar:
            bar.resume(done)
            for number in range(done, len(batches)):
                lr = config.lr * (1.0 - 0.9 * number / len(batches))
                for parameters in learner.optimizer.param_groups:
                    parameters["lr"] = lr
                where = stopped_folder(stage.folder, number + 1)
                groups, metrics = learner.batch(batches[number], task, scorer, seed, number, where)
                write_groups(groups, files[number])
                stage.log.append(number + 1, **metrics, lr=lr)
                resumable.save(number + 1)
                bar.advance(note=f"reward {metrics['reward']:.4f}, KL {metrics['kl_ref']:.2f}")
        save_writer(learner.lm, tokenizer, stage.folder / "writer")
        stage.finish({"objective": "ppo", "batches": len(batches), "texts": len(task.users) * task.samples})
    return [group for file in files for group in read_groups(file)]


def _batches(task: Task, config: WriterPPOConfig, seed: int) -> list[list[int]]:
    """The users' places in ``task``, shuffled, in batches of ``config.users`` or a little fewer."""
    if task.samples < 2:
        raise InputError(f"{task.samples} text a user has nothing to be better than: ppo needs knowledge.samples=2.")
    if not task.users:
        raise InputError("ppo: there are no users to write about")
    order = np.random.default_rng(seed).permutation(len(task.users))
    return [part.tolist() for part in np.array_split(order, math.ceil(len(order) / config.users))]
