"""The corpora of the URGENT challenges: parquet files that carry labels and encoded audio, one clip or pair a row.

`sqa_data.sources.parquet` writes the audio out as files (it is the unpacking of these corpora); here only labels are
read.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from sqa_data.corpus import ROUNDING, Corpus, HubDataset, Licence, Sample, Split, Use
from sqa_data.errors import DataError
from sqa_data.labels import RANGES, is_opinion
from sqa_data.pairs import CMOS, Pair
from sqa_data.sources.parquet import audio_path, clip_name, parts, read_columns, suffix_of

CLIP = ("audio",)
SIDES = ("audio_a", "audio_b")
RATINGS = ("raw_ratings", "listener_scores")  # as two years called them; without ids of the listeners
PLAIN = ("sample_id", "system_id", "language", "cmos", *RATINGS, *(f"{side}.path" for side in CLIP + SIDES))

# what parts of assumed layout are known to hold besides what was said of their clips
ONE = ("sample_id", "audio", "sample_rate?", "duration?")
TWO = ("sample_id", *SIDES, "sample_rate?", "duration?")
ANY = (-math.inf, math.inf)

Splits = Mapping[str, tuple[str, ...]]


def parser(
    splits: Splits, compared: Splits | None = None, *, blind: bool = False
) -> Callable[[Path], Iterator[Sample | Pair]]:
    """The `parse` of a corpus: `splits` are made of these parts of the repository.

    compared: the parts whose rows are two clips and what listeners said of them one after the other.
    blind: the test is published without what listeners said.
    """

    def parse(root: Path) -> Iterator[Sample | Pair]:
        for several, read in ((splits, _clips), (compared or {}, partial(_pairs, blind=blind))):
            for split, names in several.items():
                for name in names:
                    for path in parts(root, name):
                        for line, row in _rows(path):
                            yield from read(row, f"{path}: row {line}", split, name)

    return parse


def _rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    names, rows = read_columns(path, [*PLAIN, *RANGES])
    for line, row in enumerate(rows, start=1):
        found = dict(zip(names, row, strict=True))
        if found.get("sample_id") in (None, ""):
            raise DataError(f"{path}: row {line}: no sample_id")
        for name in ("sample_id", "system_id", "language"):
            if type(found.get(name)) not in (str, int, type(None)):
                raise DataError(f"{path}: row {line}: {name} is {found[name]!r}; expected text")
        yield line, found


def _clips(row: dict[str, Any], where: str, split: str, part: str) -> Iterator[Sample]:
    ratings = tuple(_ratings(row, where, *RANGES["mos"]))
    # null and NaN: not computed for this clip
    metrics = {
        # listeners cannot leave their scale; a model can
        name: _number(name, v, where, *(RANGES[name] if is_opinion(name) else ANY))
        for name in RANGES
        if (v := row.get(name)) is not None and v == v
    }
    yield from _samples(row, split, part, CLIP, metrics, ratings)


def _number(name: str, value: object, where: str, low: float, high: float) -> float:
    """A finite number in [low, high]."""
    number = _real(value)
    if not (low <= number <= high and math.isfinite(number)):
        raise DataError(f"{where}: {name} is {value!r:.200}; expected a number in {low:g}..{high:g}")
    return number


def _real(value: object) -> float:
    """A number as it is; NaN for text, a list, yes or no."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _pairs(row: dict[str, Any], where: str, split: str, part: str, *, blind: bool) -> Iterator[Sample | Pair]:
    """The two clips of a row, and what was said of them."""
    yield from _samples(row, split, part, SIDES, {}, ())
    a, b = (clip_name(row["sample_id"], side) for side in SIDES)
    ratings, cmos = list(_ratings(row, where, *CMOS)), row.get("cmos")
    mean = math.fsum(ratings) / len(ratings) if ratings else None
    if cmos is None or cmos != cmos:
        cmos = mean
    if cmos is None and blind:
        yield Pair(a, b, split=split)
        return
    cmos = _number("cmos", cmos, where, *CMOS)
    votes = len(ratings) if mean is not None and abs(mean - cmos) <= ROUNDING else None
    yield Pair(a, b, cmos, votes=votes, split=split)


def _samples(
    row: dict[str, Any],
    split: str,
    part: str,
    columns: tuple[str, ...],
    metrics: dict[str, float],
    ratings: tuple[float, ...],
) -> Iterator[Sample]:
    system_id, language = row.get("system_id"), row.get("language")
    for column in columns:
        clip = clip_name(row["sample_id"], column)
        yield Sample(
            split=split,
            audio=audio_path(part, str(system_id or ""), clip, suffix_of(row.get(f"{column}.path"))),
            sample_id=clip,
            system_id=None if system_id is None else str(system_id),
            metrics=metrics,
            ratings=ratings,
            language=str(language) if language else None,
        )


def _ratings(row: dict[str, Any], where: str, low: float, high: float) -> Iterator[float]:
    """Numbers in [low, high], given as a list of numbers or as the text of one."""
    name = next((name for name in RATINGS if row.get(name)), None)
    if name is None:
        return
    value = row[name]
    try:
        given = json.loads(value) if isinstance(value, str) else value
    except (ValueError, RecursionError):
        given = None
    for rating in map(_real, given) if isinstance(given, list) else [math.nan]:
        if not low <= rating <= high:
            raise DataError(f"{where}: {name} is {value!r:.200}; expected numbers in {low:g}..{high:g}")
        yield rating


def vmc2026_track1(which: str, clips: int, pairs: int, use: Use) -> Corpus:
    """The development or test set of track 1 of the VoiceMOS Challenge 2026, cut from urgent2026-sqa."""
    url = f"https://huggingface.co/datasets/urgent-challenge/vmc2026-track1-{which}"
    alone, compared = {"acr": ("acr",)}, {"ccr": ("ccr",)}
    return Corpus(
        name=f"vmc2026-track1-{which}",
        title=f"VoiceMOS Challenge 2026, track 1, {which}",
        splits={
            "acr": Split(clips, note="without labels", rated=False),
            "ccr": Split(
                2 * pairs,
                note=f"{pairs:,} pairs, ID_a and ID_b, without labels",
                rated=False,
                again=("acr", "ccr"),
            ),
        },
        sample_rates=(),
        method="ACR and CCR",
        licence=Licence("?", url, ask=True, note="see the card"),
        archives=(),
        links=(
            url,
            # metrics of its clips, computed by the organisers
            "https://huggingface.co/datasets/urgent-challenge/vmc2026-track1-meta",
            "https://github.com/voicemos-challenge/vmc2026-baselines",
        ),
        citation="The VoiceMOS Challenge 2026; C. Li et al., ICASSP 2026 URGENT speech enhancement challenge, "
        "ICASSP 2026",
        label_files=("*.parquet",),
        parse=parser(alone, compared, blind=True),
        layout="public scripts that read it",
        assumed=True,
        columns={"acr": ONE, "ccr": TWO},
        use=(use,),
        hub=HubDataset(f"urgent-challenge/vmc2026-track1-{which}", alone | compared, audio=CLIP + SIDES),
    )
