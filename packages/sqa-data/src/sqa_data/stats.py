"""What is in manifests: samples, systems, hours, rates, and how opinions and votes are spread."""

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from sqa_data.errors import DataError
from sqa_data.labels import MOS, range_of
from sqa_data.manifest import Utterance, iter_manifest

BINS = 16  # of the histogram of opinions: quarters of 1 to 5
DURATION_EDGES = np.array([0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 30, 60, np.inf])  # seconds


@dataclass(slots=True)
class Stats:
    """Numbers of one split of one corpus."""

    corpus: str | None
    split: str | None
    samples: int = 0
    systems: set[str] = field(default_factory=set)
    seconds: float = 0.0
    sample_rates: Counter[int | None] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)  # label -> samples that have it
    scale: tuple[float, float] | None = None  # of the opinions; None while there is none
    mos: "array[float]" = field(default_factory=lambda: array("d"))
    votes: Counter[int] = field(default_factory=Counter)
    durations: "array[float]" = field(default_factory=lambda: array("d"))

    def as_dict(self) -> dict[str, Any]:
        """For JSON: counts, moments and histograms."""
        mos = np.frombuffer(self.mos) if self.mos else np.empty(0)
        durations = np.frombuffer(self.durations) if self.durations else np.empty(0)
        votes = np.repeat(*np.array(sorted(self.votes.items())).T) if self.votes else np.empty(0)
        edges = np.linspace(*(self.scale or MOS), BINS + 1)
        rates = sorted(self.sample_rates.items(), key=lambda item: item[0] or 0)
        return {
            "corpus": self.corpus,
            "split": self.split,
            "samples": self.samples,
            "systems": len(self.systems) or None,
            "hours": self.seconds / 3600,
            "sample_rates": {str(rate): n for rate, n in rates},
            "labels": dict(sorted(self.labels.items())),
            "mos": _moments(mos) | {"edges": edges.tolist(), "counts": _histogram(mos, edges)},
            "votes": _moments(votes),
            "duration_s": _moments(durations)
            | {"edges": DURATION_EDGES[:-1].tolist(), "counts": _histogram(durations, DURATION_EDGES)},
        }


def statistics(manifests: Iterable[str | Path]) -> list[Stats]:
    """One `Stats` for each corpus and split in the manifests, in the order they appear.

    Raises DataError where opinions of one corpus and split are on two scales, whose mean says nothing.
    """
    found: dict[tuple[str | None, str | None], Stats] = {}
    for path in manifests:
        for utterance in iter_manifest(path):
            key = (utterance.corpus, utterance.split)
            stats = found.get(key) or found.setdefault(key, Stats(*key))
            stats.samples += 1
            stats.seconds += utterance.duration
            stats.durations.append(utterance.duration)
            stats.sample_rates[utterance.sample_rate] += 1
            stats.labels.update(utterance.metrics.keys())
            if utterance.system_id is not None:
                stats.systems.add(utterance.system_id)
            if "mos" in utterance.metrics:
                stats.mos.append(utterance.metrics["mos"])
                scale = range_of("mos", utterance.scales)
                stats.scale = stats.scale or scale
                if scale != stats.scale:
                    raise DataError(_two_scales(path, utterance, stats.scale, scale))
            if utterance.votes is not None:
                stats.votes[utterance.votes] += 1
    return list(found.values())


def _two_scales(
    path: str | Path, utterance: Utterance, before: tuple[float, float], now: tuple[float, float]
) -> str:
    (low, high), (new_low, new_high) = before, now
    return (
        f"{path}: mos of {utterance.sample_id!r} is on a scale of {new_low:g} to {new_high:g}, those before it in "
        f"{utterance.corpus or 'no corpus'} {utterance.split or ''}".rstrip()
        + f" are on {low:g} to {high:g}; `sqa-cli data merge --rescale mos` maps them"
    )


def bars(counts: list[int], edges: list[float], width: int = 40) -> list[str]:
    """A histogram as lines of text, one a bin.

    >>> print(*bars([1, 4, 0], [1.0, 2.0, 3.0, 4.0], width=4), sep="\\n")
     1.00 █    1
     2.00 ████ 4
     3.00      0
    """
    highest = max([*counts, 1])
    lines = []
    for count, edge in zip(counts, edges, strict=False):
        eighths = round(count / highest * width * 8)
        bar = "█" * (eighths // 8) + ("", *"▏▎▍▌▋▊▉")[eighths % 8]
        lines.append(f"{edge:5.2f} {bar:<{width}} {count:>{len(f'{highest:,}')},}")
    return lines


def _moments(values: np.ndarray) -> dict[str, float | None]:
    if not values.size:
        return dict.fromkeys(("mean", "std", "min", "median", "max"))
    return {
        "mean": float(values.mean()),
        "std": float(values.std(ddof=1)) if values.size > 1 else None,
        "min": float(values.min()),
        "median": float(np.median(values)),
        "max": float(values.max()),
    }


def _histogram(values: np.ndarray, edges: np.ndarray) -> list[int]:
    return [int(n) for n in np.histogram(values, edges)[0]]
