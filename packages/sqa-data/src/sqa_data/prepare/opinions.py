"""From the rows of label files to one utterance a clip: ratings -> MOS, votes and spread."""

import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from sqa_data.baseline import BaselineIds
from sqa_data.corpus import ROUNDING, Corpus, Rating, Sample
from sqa_data.errors import DataError
from sqa_data.manifest import Utterance
from sqa_data.prepare.group import grouped


def utterances(
    corpus: Corpus, audio: Path, opinions: Iterable[Rating | Sample]
) -> Iterator[tuple[Utterance, list[Rating]]]:
    """Each clip once, by split and sample_id, its audio below a folder; length and rate are still unknown."""
    base = f"{os.path.abspath(audio)}/"  # noqa: PTH100  joined as text a million times
    for (split, _), rows in grouped(opinions, key=lambda row: (row.split, row.sample_id)):
        first = rows[0]
        for row in rows:
            if (row.audio, row.system_id) != (first.audio, first.system_id):
                raise DataError(
                    f"{corpus.name}/{split}: sample_id {row.sample_id!r} stands for two clips: {first.audio} of "
                    f"system {first.system_id!r} and {row.audio} of system {row.system_id!r}"
                )
        samples = [row for row in rows if isinstance(row, Sample)]
        ratings = [row for row in rows if isinstance(row, Rating)]
        if len(samples) > 1:
            raise DataError(f"{corpus.name}/{split}: {len(samples)} rows for sample_id {first.sample_id!r}")
        if samples:
            metrics, votes, std, ratings = _of_sample(samples[0], ratings)
        else:
            metrics, votes, std = _of_ratings(ratings)
        yield (
            Utterance(
                audio_path=base + first.audio,
                sample_id=first.sample_id,
                duration=0.0,
                metrics=metrics,
                system_id=first.system_id,
                corpus=corpus.name,
                split=split,
                votes=votes,
                mos_std=std,
                language=first.language or (corpus.languages[0] if len(corpus.languages) == 1 else None),
                scales={label: bounds for label, bounds in corpus.scales.items() if label in metrics},
            ),
            ratings,
        )


def renamed(opinions: Iterable[Rating | Sample], ids: BaselineIds) -> Iterator[Rating | Sample]:
    """Opinions whose clips and systems have the baseline's names."""
    for opinion in opinions:
        sample_id, system_id = ids.of(opinion.sample_id, opinion.system_id)
        yield replace(opinion, sample_id=sample_id, system_id=system_id)


def _of_ratings(rows: list[Rating]) -> tuple[dict[str, float], int | None, float | None]:
    values: dict[str, list[float]] = {}
    for row in rows:
        values.setdefault(row.label, []).append(row.value)
    metrics = {label: math.fsum(given) / len(given) for label, given in values.items()}
    given = values.get("mos", [])
    return metrics, len(given) or None, spread(given)


def _of_sample(
    sample: Sample, ratings: list[Rating]
) -> tuple[dict[str, float], int | None, float | None, list[Rating]]:
    """Labels of a clip whose MOS may be published beside the ratings: the published one is kept."""
    ratings = ratings + [
        Rating(sample.split, sample.audio, sample.sample_id, sample.system_id, None, value)
        for value in sample.ratings
    ]
    means, votes, std = _of_ratings(ratings)
    metrics = means | sample.metrics
    if not votes or abs(metrics["mos"] - means["mos"]) > ROUNDING:
        # the publisher dropped some, so these are not the votes behind it
        return metrics, sample.votes, sample.mos_std, ratings
    return metrics, votes, std, ratings


def spread(values: Iterable[float]) -> float | None:
    """Standard deviation with n - 1; None for fewer than two values.

    >>> spread([3, 4, 5]), spread([3])
    (1.0, None)
    """
    values = list(values)
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
