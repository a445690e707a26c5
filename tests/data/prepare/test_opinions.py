"""Ratings and published labels become one utterance a clip."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqa_data import DataError, Utterance, get_corpus
from sqa_data.corpus import Rating, Sample
from sqa_data.prepare.opinions import utterances


def made(*rows: Rating | Sample, **facts: Any) -> list[Utterance]:
    corpus = replace(get_corpus("pstn"), parse=lambda root: iter(rows), **facts)
    return [utterance for utterance, _ in utterances(corpus, Path("/raw"), corpus.parse(Path("/raw")))]


def test_one_clip_of_two_systems_is_an_error() -> None:
    rows = [Rating("train", "a.wav", "a", system, None, 3) for system in ("s1", "s2")]
    with pytest.raises(DataError, match=r"'a' stands for two clips: a\.wav of system 's1' and a\.wav of"):
        made(*rows)


@pytest.mark.parametrize(("published", "votes"), [(3.3, 3), (3.0, None)])
def test_a_published_mos_is_kept(published: float, votes: int | None) -> None:
    """Ratings whose mean is another are not the votes behind it: some were dropped."""
    (only,) = made(Sample("train", "a.wav", "a", None, {"mos": published}, ratings=(3.0, 3.0, 4.0)))
    assert (only.metrics, only.votes) == ({"mos": published}, votes)


@pytest.mark.parametrize(
    ("languages", "of_row", "expected"),
    [
        (("en",), None, "en"),
        (("en", "de"), None, None),
        (("en", "de"), "de", "de"),
        (("en",), "de", "de"),
        ((), None, None),
    ],
)
def test_a_clip_has_its_own_language_or_the_only_one_of_its_corpus(
    languages: tuple[str, ...], of_row: str | None, expected: str | None
) -> None:
    row = Sample("train", "a.wav", "a", None, {"mos": 3.0}, language=of_row)
    (only,) = made(row, languages=languages)
    assert only.language == expected


def test_a_clip_has_the_scales_of_its_own_labels() -> None:
    scales = {"mos": (0.0, 100.0), "mos_sig": (0.0, 10.0)}
    (only,) = made(Sample("train", "a.wav", "a", None, {"mos": 30.0, "mos_bak": 3.0}), scales=scales)
    assert only.scales == {"mos": (0.0, 100.0)}
