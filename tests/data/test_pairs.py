"""Pairs: written, read back, and refused where they are none."""

from pathlib import Path

import pytest
from sqa_data import DataError
from sqa_data.pairs import Pair, iter_pairs, pair_id, to_line


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


def write(path: Path, *rows: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(rows))
    return path


def test_rows_of_urgentmos_say_where_their_clips_are(tmp_path: Path) -> None:
    path = write(
        tmp_path / "data_pairs.jsonl",
        '{"audio_paths": ["wavs/1_a.wav", "wavs/1_b.wav"], "durations": [1, 2], "metrics": {"mos_overall": 1.0}}',
        '{"audio_paths": ["wavs/1_b.wav", "/elsewhere/x.flac"], "metrics": {"mos_overall": -3.9}, "votes": 2}',
    )
    assert list(iter_pairs(path)) == [
        (1, Pair("1_a", "1_b", 1.0, audio_paths=("wavs/1_a.wav", "wavs/1_b.wav"))),
        (2, Pair("1_b", "x", -3.9, votes=2, audio_paths=("wavs/1_b.wav", "/elsewhere/x.flac"))),
    ]
    # names that two folders share are told apart by all paths of the file
    write(path, '{"audio_paths": ["s1/u.wav", "s2/u.wav"], "metrics": {"cmos": 2}}')
    ((_, pair),) = iter_pairs(path)
    assert (pair.a, pair.b, pair.cmos) == ("s1/u", "s2/u", 2)


def test_rows_with_rows_of_their_own(tmp_path: Path) -> None:
    own = '{"a": {"sample_id": "x", "audio_path": "1.wav"}, "b": {"uid": "s:y", "audio_path": "2.wav"}}'
    own = own[:-1] + ', "preference": "b"}'
    others = (
        '{"a": {"sample_id": "x"}, "b": "y", "preference": "tie"}',
        # one path is not two; names come before paths
        '{"a": {"sample_id": "x", "audio_path": "1.wav"}, "b": "y", "preference": "tie"}',
        '{"a": "x", "b": "y", "audio_paths": ["1.wav", "2.wav"], "preference": "tie"}',
    )
    path = write(tmp_path / "pairs.jsonl", own, *others)
    assert [pair for _, pair in iter_pairs(path)] == [
        Pair("x", "s:y", preference="b", audio_paths=("1.wav", "2.wav")),
        *[Pair("x", "y", preference="tie")] * 3,
    ]


def test_pairs_of_which_nobody_said_anything(tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.jsonl", '{"corpus": "c", "a": "x", "b": "y"}')
    assert list(iter_pairs(path, unlabelled=True)) == [(1, Pair("x", "y", corpus="c"))]
    with pytest.raises(DataError, match="neither"):
        list(iter_pairs(path))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"audio_paths": ["x.wav"], "metrics": {"mos_overall": 1}}', "audio_paths is .*expected two paths"),
        ('{"audio_paths": ["x.wav", 7], "metrics": {"mos_overall": 1}}', "audio_paths is 7; expected a path"),
        (
            '{"audio_paths": ["x.wav", "./x.wav"], "metrics": {"mos_overall": 1}}',
            "audio_paths are both 'x.wav'",
        ),
        (
            '{"audio_paths": ["x.wav", "y.wav"], "metrics": {"mos_overall": 4.5}}',
            r"mos_overall is 4\.5; expected a number in -4\.\.4",
        ),
        (
            '{"audio_paths": ["x.wav", "y.wav"], "metrics": {"cmos": 3.5}}',
            r"cmos is 3\.5; expected a number in -3\.\.3",
        ),
        ('{"a": {"audio_path": "x.wav"}, "b": "y", "preference": "a"}', "a is None and b is 'y'"),
        ('{"a": {"sample_id": [1]}, "b": "y", "preference": "a"}', r"sample_id is \[1\]"),
    ],
)
def test_other_forms_that_are_no_pair(line: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "pairs.jsonl", line)
    with pytest.raises(DataError, match=rf"pairs\.jsonl:1: {message}"):
        list(iter_pairs(path))


def test_a_pair_is_called_what_its_clips_share() -> None:
    assert (
        pair_id(Pair("vmc2026-track1-dev-ccr_0_a", "vmc2026-track1-dev-ccr_0_b"))
        == "vmc2026-track1-dev-ccr_0"
    )
    for a, b in (("x_b", "x_a"), ("x_a", "y_b"), ("_a", "_b"), ("x", "y")):
        assert pair_id(Pair(a, b)) == f"{a}|{b}"
