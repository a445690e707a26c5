"""Measure a model on pairs of the development set: each pair once, a clip once for the pairs that follow."""

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from sqa_data.errors import AudioError
from sqa_metrics.pairs.figures import accuracy
from sqa_metrics.report import by_corpus
from torch import Tensor

from sqa_model.network.comparison import TIE, A
from sqa_model.training.clips import Clips
from sqa_model.training.config import BatchConfig
from sqa_model.training.evaluate import Results
from sqa_model.training.pairs import CMOS, Pairs
from sqa_model.training.processes import Processes, Stopped
from sqa_model.training.source import read_ahead

Loaded = TypeVar("Loaded")
Job = tuple[list[int], list[int]]  # clips, and pairs that only have these


def compared(
    say: Callable[[list[int], list[Loaded], list[tuple[int, int]]], Tensor],
    load: Callable[[int], Loaded],
    clips: Clips,
    pairs: Pairs,
    batch: BatchConfig,
    group: Processes,
    *,
    workers: int,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[np.ndarray, list[str]]:
    """The model's CMOS of all pairs, (pairs,), equal on every process; and what could not be read.

    `load(i)` reads clip i (in threads), `say` compares pairs of places among what was loaded. A pair with a clip that
    cannot be read keeps NaN. Raises `Stopped` where `stop` came true in any process.
    """
    jobs = jobs_of(pairs, clips.seconds, batch.micro_seconds or batch.seconds, batch.clips)
    said: dict[int, float] = {}
    unreadable: list[str] = []
    share = jobs[group.rank :: group.size]
    for (chosen, members), loaded in read_ahead(share, lambda job: job[0], load, workers=workers, ahead=2):
        if stop():
            break
        unreadable += [str(item) for item in loaded if isinstance(item, AudioError)]
        good = [(clip, x) for clip, x in zip(chosen, loaded, strict=True) if not isinstance(x, AudioError)]
        place = {clip: i for i, (clip, _) in enumerate(good)}
        whole = [k for k in members if int(pairs.a[k]) in place and int(pairs.b[k]) in place]
        if whole:
            asked = [(place[int(pairs.a[k])], place[int(pairs.b[k])]) for k in whole]
            found = say([clip for clip, _ in good], [item for _, item in good], asked)
            said |= dict(zip(whole, found.float().cpu().tolist(), strict=True))
    cmos = np.full(len(pairs), math.nan)
    gathered = group.gather((said, unreadable, stop()))
    if any(stopped for *_, stopped in gathered):
        raise Stopped
    for theirs, *_ in gathered:
        cmos[list(theirs)] = list(theirs.values())
    return cmos, list(dict.fromkeys(line for _, lines, _ in gathered for line in lines))


def jobs_of(pairs: Pairs, seconds: np.ndarray, most_s: float, most: int) -> list[Job]:
    """Pairs that share clips together, so that their clips' padded seconds stay within `most_s`, if one pair can."""
    jobs: list[Job] = []
    clips: dict[int, None] = {}
    members: list[int] = []
    for k in np.lexsort((pairs.b, pairs.a)).tolist():
        wider = clips | {int(pairs.a[k]): None, int(pairs.b[k]): None}
        longest = float(seconds[list(wider)].max())
        if members and (len(wider) * longest > most_s or len(wider) > most):
            jobs.append((list(clips), members))
            wider, members = {int(pairs.a[k]): None, int(pairs.b[k]): None}, []
        clips = wider
        members.append(k)
    return [*jobs, (list(clips), members)] if members else jobs


def pair_figures(clips: Clips, pairs: Pairs, cmos: np.ndarray) -> Results:
    """Agreement of the model's CMOS (pairs,) with listeners, for every corpus, as those of a head called "cmos".

    The figures of an utterance are those of a pair that listeners gave a CMOS; `accuracy` is that of all pairs which
    they did not call a tie.
    """
    corpora = np.array(clips.corpora)[clips.corpus[pairs.a]]
    results: Results = {}
    for name in sorted(set(corpora.tolist())):
        rows = np.flatnonzero((corpora == name) & np.isfinite(cmos))
        known = rows[np.isfinite(pairs.cmos[rows])]
        ref, pred = pairs.cmos[known].astype(np.float64), cmos[known]
        figures = by_corpus(ref, pred, [None] * len(known), [name] * len(known)).get(name, {})
        sides = np.where(pairs.better[rows] == TIE, 0.0, np.where(pairs.better[rows] == A, 1.0, -1.0))
        share = accuracy(sides, cmos[rows])
        results[name] = {
            CMOS: {"pairs": len(rows), **figures, "accuracy": share if math.isfinite(share) else None}
        }
    return results
