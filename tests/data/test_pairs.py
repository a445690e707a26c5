"""Pairs: written, read back, and refused where they are none."""

from pathlib import Path

import pytest
from sqa_data import DataError
from sqa_data.pairs import Pair, iter_pairs, to_line


@pytest.mark.parametrize(
    "pair",
    [
        Pair("x", "y", cmos=-2.5, votes=8, corpus="c"),
        Pair("x", "y", preference="tie"),
        Pair("x", "y", cmos=0, preference="a", votes=1),
    ],
)
def test_what_is_written_is_read(pair: Pair, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(to_line(pair))
    assert list(iter_pairs(path)) == [(1, pair)]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            '{"a": "x", "metrics": {"cmos": 1}}',
            "a is 'x' and b is None; expected the sample_ids of two clips",
        ),
        ('{"a": "x", "b": "x", "preference": "a"}', "a is 'x' and b is 'x'"),
        ('{"a": "x", "b": "y", "metrics": {"cmos": 3.1}}', r"cmos is 3\.1; expected a number in -3\.\.3"),
        ('{"a": "x", "b": "y", "metrics": {"cmos": true}}', "cmos is True"),
        ('{"a": "x", "b": "y", "metrics": {"cmos": NaN}}', "cmos is nan"),
        ('{"a": "x", "b": "y", "metrics": 3, "votes": 1}', "metrics is 3; expected an object"),
        ('{"a": "x", "b": "y", "preference": "A"}', "preference is 'A'; expected one of a, b, tie"),
        ('{"a": "x", "b": "y", "preference": "a", "votes": 0}', "votes is 0; expected a whole number"),
        ('{"a": "x", "b": "y", "preference": "a", "votes": true}', "votes is True; expected a whole number"),
        ('{"a": "x", "b": "y", "preference": "a", "corpus": {}}', "corpus is {}"),
        ('{"a": "x", "b": "y"}', "neither metrics.cmos nor preference"),
    ],
)
def test_what_is_no_pair_is_an_error_with_its_line(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"a": "x", "b": "y", "preference": "b"}\n' + line)
    with pytest.raises(DataError, match=rf"pairs\.jsonl:2: .*({message})"):
        list(iter_pairs(path))
