"""Batches of whole clips, by length, the same for every number of processes: a pure function of (seed, epoch).

An *update* is one optimizer step over at most `seconds` padded seconds and `clips` clips, whoever computes it. It is
cut into *micro-batches* that fit one process's memory; these are dealt over the processes. Nothing here knows about
audio, and nothing has state: resuming is asking for the same epoch again and starting further in.
"""

import numpy as np

from sqa_model.errors import ModelError
from sqa_model.training.config import BatchConfig

POOL = 32  # updates sorted by length together: enough to pad little, few enough to mix lengths over the epoch


def shares(
    corpus: np.ndarray, names: tuple[str, ...], weights: dict[str, float], balance: bool
) -> np.ndarray:
    """How often a clip of each corpus is used in one epoch, (corpora,) float; 1 means exactly once.

    `corpus` holds each clip's index into `names`. `weights` multiplies a corpus's share; `balance` first
    gives every corpus the same number of clips, the total staying as it was.

    >>> shares(np.array([0, 0, 0, 1]), ("a", "b"), {}, balance=True).round(3).tolist()
    [0.667, 2.0]
    """
    unknown = sorted(set(weights) - set(names))
    if unknown:
        raise ModelError(f"data.weights.{unknown[0]}: no manifest has this corpus; found: {', '.join(names)}")
    count = np.bincount(corpus, minlength=len(names))
    share = np.array([weights.get(name, 1.0) for name in names])
    if balance:
        share = share * (len(corpus) / len(names) / np.maximum(count, 1))
    return share


def epoch_clips(corpus: np.ndarray, share: np.ndarray, *, seed: int, epoch: int) -> np.ndarray:
    """Indices of the clips of one epoch, in corpus order, each as often as the share of its corpus says.

    The fraction rotates: with a share of 0.5 the even epochs use one half of the corpus and the odd ones the other.

    >>> corpus = np.zeros(4, dtype=int)
    >>> sorted(int(i) for e in (0, 1) for i in epoch_clips(corpus, np.array([0.5]), seed=1, epoch=e))
    [0, 1, 2, 3]
    """
    chosen = []
    for number, wanted in enumerate(share):
        members = np.flatnonzero(corpus == number)
        whole = int(wanted + 1e-9)
        chosen += [members] * whole
        part = round((wanted - whole) * len(members))
        if part > 0:
            order = np.random.default_rng([seed, 1, number]).permutation(members)
            chosen.append(np.take(order, np.arange(epoch * part, (epoch + 1) * part), mode="wrap"))
    return np.concatenate(chosen) if chosen else np.zeros(0, dtype=np.int64)


def updates(
    seconds: np.ndarray, clips: np.ndarray, batch: BatchConfig, *, seed: int, epoch: int
) -> list[np.ndarray]:
    """One epoch's updates in order: arrays of clip indices, longest first inside each. No clip is left out.

    `seconds` is the length of every clip as it will be used; `clips` the indices of this epoch's clips.

    >>> plan = updates(np.array([1.0, 5.0, 1.0, 5.0]), np.arange(4), BatchConfig(seconds=10), seed=0, epoch=0)
    >>> sorted(sorted(u.tolist()) for u in plan)
    [[0, 2], [1, 3]]
    """
    if len(clips) == 0:
        return []
    rng = np.random.default_rng([seed, 2, epoch])
    clips = rng.permutation(clips)
    size = int(min(batch.clips, max(1.0, batch.seconds // max(float(seconds[clips].mean()), 1e-6))))
    groups: list[np.ndarray] = []
    for start in range(0, len(clips), POOL * size):
        pool = clips[start : start + POOL * size]
        groups += _pack(pool[np.argsort(-seconds[pool], kind="stable")], seconds, batch.seconds, batch.clips)
    return [groups[i] for i in rng.permutation(len(groups))]


def micro_batches(
    update: np.ndarray, seconds: np.ndarray, batch: BatchConfig, *, processes: int
) -> list[list[np.ndarray]]:
    """An update cut into micro-batches and dealt, each clip exactly once: one list a process, some possibly empty.

    >>> dealt = micro_batches(np.array([3, 1, 2]), np.ones(4), BatchConfig(micro_seconds=1), processes=2)
    >>> [[m.tolist() for m in share] for share in dealt]
    [[[3], [2]], [[1]]]
    """
    if batch.micro_seconds is None:
        pieces = [update[rank::processes] for rank in range(processes)]  # everybody the same lengths
        pieces = [piece for piece in pieces if len(piece)]
    else:
        pieces = _pack(update, seconds, batch.micro_seconds, batch.clips)
    return [pieces[rank::processes] for rank in range(processes)]


def _pack(ordered: np.ndarray, seconds: np.ndarray, budget: float, most: int) -> list[np.ndarray]:
    """Cut `ordered` (longest first) so that clips x longest <= budget; a clip over it stands alone."""
    groups, start = [], 0
    while start < len(ordered):
        longest = max(float(seconds[ordered[start]]), 1e-6)
        size = int(min(most, max(1.0, (budget + 1e-9) // longest)))
        groups.append(ordered[start : start + size])
        start += size
    return groups
