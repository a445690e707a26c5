"""Ratings and published labels become one utterance a clip."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqa_data import DataError, Utterance, get_corpus
from sqa_data.corpus import Rating, Sample
from sqa_data.prepare.opinions import utterances


def made(*rows: Rating | Sample) -> list[Utterance]:
    corpus = replace(get_corpus("pstn"), parse=lambda root: iter(rows))
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
