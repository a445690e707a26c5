"""Choose from manifests, put them together, draw from them: manifests in, one manifest out."""

import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from operator import itemgetter
from pathlib import Path

from sqa_data.errors import DataError
from sqa_data.ids import short_hash
from sqa_data.labels import range_of
from sqa_data.manifest import Utterance, numbered


@dataclass(frozen=True, slots=True)
class Condition:
    """What an utterance must be to be chosen; an empty field does not matter. Bounds are inclusive."""

    corpora: tuple[str, ...] = ()
    splits: tuple[str, ...] = ()
    systems: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()  # all of them must be there
    min_duration_s: float | None = None
    max_duration_s: float | None = None
    min_votes: int | None = None
    bounds: tuple[tuple[str, float, float], ...] = ()  # (label, lowest, highest)

    def holds(self, utterance: Utterance) -> bool:
        """Whether `utterance` is chosen.

        >>> Condition(labels=("mos",), min_duration_s=1).holds(Utterance("a", "a", 0.5, {"mos": 3.0}))
        False
        """
        return (
            (not self.corpora or utterance.corpus in self.corpora)
            and (not self.splits or utterance.split in self.splits)
            and (not self.systems or utterance.system_id in self.systems)
            and (not self.languages or utterance.language in self.languages)
            and all(label in utterance.metrics for label in self.labels)
            and (self.min_duration_s is None or utterance.duration >= self.min_duration_s)
            and (self.max_duration_s is None or utterance.duration <= self.max_duration_s)
            and (self.min_votes is None or (utterance.votes or 0) >= self.min_votes)
            and all(
                label in utterance.metrics and low <= utterance.metrics[label] <= high
                for label, low, high in self.bounds
            )
        )


def merged(manifests: Iterable[str | Path]) -> Iterator[Utterance]:
    """The utterances of all manifests, one after the other; DataError if a sample_id of a corpus comes twice."""
    seen: dict[int, str] = {}
    for path in manifests:
        for number, utterance in numbered(path):
            key = short_hash(utterance.corpus, utterance.sample_id)
            if key in seen:
                raise DataError(
                    f"{path}:{number}: sample_id {utterance.sample_id!r} of corpus {utterance.corpus!r} "
                    f"is also in {seen[key]}"
                )
            seen[key] = f"{path}:{number}"
            yield utterance


def rescaled(utterances: Iterable[Utterance], labels: Iterable[str]) -> Iterator[Utterance]:
    """`labels` that were given on another scale than usual, mapped linearly to the usual one, with their spread.

    Raises DataError for a label without a usual scale, and for one that no utterance has.

    >>> (clip,) = rescaled([Utterance("a", "a", 1, {"mos": 50}, mos_std=10, scales={"mos": (0, 100)})], ["mos"])
    >>> clip.metrics, clip.mos_std, clip.scales
    ({'mos': 3.0}, 0.4, {})
    """
    wanted = set(labels)
    unseen = set(wanted)
    for utterance in utterances:
        unseen -= utterance.metrics.keys()
        metrics, spread, scales = dict(utterance.metrics), utterance.mos_std, dict(utterance.scales)
        for label in wanted & scales.keys():
            (low, high), (new_low, new_high) = scales.pop(label), range_of(label)
            if not math.isfinite(new_high - new_low):
                raise DataError(f"{label} has no usual scale to map {low:g}..{high:g} to")
            if label not in metrics:
                continue
            factor = (new_high - new_low) / (high - low)
            metrics[label] = new_low + (metrics[label] - low) * factor
            spread = spread * factor if label == "mos" and spread is not None else spread
        yield replace(utterance, metrics=metrics, mos_std=spread, scales=scales)
    if unseen:
        raise DataError(f"no utterance has the label {', '.join(sorted(unseen))}, which is to be mapped")


def sampled(
    utterances: Iterable[Utterance], n: int, seed: int = 0, *, per_system: bool = False
) -> list[Utterance]:
    """`n` utterances (of each system, with `per_system`) in their original order.

    The draw is by a hash of seed, corpus and sample_id: the same for any order of the input, and the `n` drawn are
    among the `n + 1` that a larger draw takes.
    """
    heaps: dict[tuple[str | None, str | None] | None, list[tuple[int, int, Utterance]]] = {}
    for number, utterance in enumerate(utterances):
        group = (utterance.corpus, utterance.system_id) if per_system else None
        rank = -short_hash(seed, utterance.corpus, utterance.sample_id)
        heap = heaps.setdefault(group, [])
        if len(heap) < n:
            heapq.heappush(heap, (rank, number, utterance))
        elif heap and rank > heap[0][0]:
            heapq.heapreplace(heap, (rank, number, utterance))
    kept = [(number, utterance) for heap in heaps.values() for _, number, utterance in heap]
    return [utterance for _, utterance in sorted(kept, key=itemgetter(0))]
