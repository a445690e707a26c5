"""Pairs of clips: `sqa_data` and `sqa_metrics` read the same lines alike."""

import math
from pathlib import Path

import pytest
from sqa_data.errors import DataError
from sqa_data.pairs import iter_pairs
from sqa_metrics import MetricsError, read_pairs
from sqa_metrics.pairs.rows import Pairs

READ = [
    '{"a": "u1", "b": "u2", "metrics": {"cmos": 1.5}, "votes": 8}',
    '{"corpus": "c", "a": "u1", "b": "u2", "metrics": {"cmos": -3}}',
    '{"a": "u1", "b": "u2", "preference": "a", "votes": 2}',
    '{"a": "u1", "b": "u2", "preference": "tie"}',
    '{"a": 7, "b": "u2", "preference": "b"}',
    '{"a": "u1", "b": "u2", "metrics": {"cmos": 0.5}, "preference": "tie", "split": "dev"}',
    '{"audio_paths": ["/d/x/u1.wav", "/d/y/u2.flac"], "durations": [1, 2], "metrics": {"mos_overall": -1.0}}',
    '{"audio_paths": ["/d/x/u1.wav", "/d/y/u1.wav"], "durations": [1, 2], "metrics": {"mos_overall": 3.5}}',
    '{"audio_paths": ["x/u1.wav", "y/u2.wav"], "metrics": {"cmos": 3}, "corpus": "c", "votes": 3}',
    '{"a": {"sample_id": "u1", "audio_path": "x.wav"}, "b": {"sample_id": "u2"}, "metrics": {"cmos": 1}}',
    '{"a": "u1", "b": "u2", "audio_paths": ["x/3.wav", "x/4.wav"], "durations": [1, 2], "metrics": {"cmos": 1}}',
]
REFUSED = [
    '{"a": "u1", "metrics": {"cmos": 1.5}}',
    '{"a": "u1", "b": "", "metrics": {"cmos": 1.5}}',
    '{"a": "u1", "b": "u1", "metrics": {"cmos": 1.5}}',
    '{"a": "u1", "b": "u2", "preference": "left"}',
    '{"a": "u1", "b": "u2", "metrics": 3}',
    '{"a": "u1", "b": "u2", "metrics": {"cmos": "much"}}',
    '{"a": "u1", "b": "u2"}',
    '{"a": "u1", "b": "u2", "metrics": {"cmos": 1.5}',
    '{"audio_paths": ["x.wav"], "metrics": {"mos_overall": 1}}',
    '{"audio_paths": ["x.wav", "x.wav"], "metrics": {"mos_overall": 1}}',
    '{"audio_paths": ["x.wav", 3], "metrics": {"mos_overall": 1}}',
]


@pytest.mark.parametrize("line", READ)
def test_the_same_reading(line: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(line)
    ((_, pair),) = iter_pairs(path)
    found = read_pairs(path)
    assert isinstance(found, Pairs)
    (row,) = found.rows
    assert (row.a.sample_id, row.b.sample_id, row.corpus) == (pair.a, pair.b, pair.corpus or "")
    assert (row.votes if row.votes == row.votes else None) == pair.votes
    words = {"a": 1.0, "b": -1.0, "tie": 0.0, None: math.nan}
    assert row.value == (words[pair.preference] if pair.cmos is None else pair.cmos)
    assert found.preferences == (pair.cmos is None)


@pytest.mark.parametrize("line", REFUSED)
def test_the_same_refusals(line: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text(line)
    with pytest.raises(DataError, match=r"pairs\.jsonl"):
        list(iter_pairs(path))
    with pytest.raises(MetricsError, match=r"pairs\.jsonl"):
        read_pairs(path)
