"""The manifest format: round trips, the baseline's files, and an error that names the line for all else."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqa_data import DataError, Utterance, iter_manifest, read_manifest, write_manifest
from sqa_data.manifest import to_line

FULL = Utterance(
    audio_path="/data/a b/ü.wav",
    sample_id="ü",
    duration=1.5,
    metrics={"mos": 10 / 3, "sdr": -3.25},
    system_id="015",
    corpus="somos",
    split="train",
    sample_rate=24000,
    votes=3,
    mos_std=0.5773502691896257,
    language="en",
    scales={"mos": (1.0, 7.0)},
    extra={"speaker": "p1"},
)


def write(path: Path, *rows: object) -> Path:
    path.write_text(
        "".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows), encoding="utf-8"
    )
    return path


def row(**changes: object) -> dict[str, object]:
    return {
        "audio_path": "/a.wav",
        "system_id": "s",
        "sample_id": "a",
        "duration": 1.0,
        "metrics": {"mos": 3.0},
    } | changes


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    bare = Utterance("/a.wav", "a", 1.0, {})
    assert write_manifest(tmp_path / "deep" / "data.jsonl", [FULL, bare]) == 2
    assert read_manifest(tmp_path / "deep" / "data.jsonl") == [FULL, bare]
    # reads with the standard library too, and `system_id` is there even where there is none
    lines = [json.loads(line) for line in (tmp_path / "deep" / "data.jsonl").read_text("utf-8").splitlines()]
    assert lines[0]["metrics"]["mos"] == 10 / 3
    assert lines[1]["system_id"] is None


@given(
    st.text(min_size=1, max_size=8),
    st.floats(0, 1e6),
    st.dictionaries(st.text(max_size=5), st.floats(allow_nan=False, allow_infinity=False)),
    st.none() | st.text(min_size=1, max_size=5),
)
def test_every_value_survives(tmp_path_factory, sample_id, duration, metrics, system_id) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.mktemp("m") / "m.jsonl"
    utterance = Utterance("/x.wav", sample_id, duration, metrics, system_id=system_id)
    write_manifest(path, [utterance])
    assert read_manifest(path) == [utterance]


def test_reads_the_baselines_five_keys(tmp_path: Path) -> None:
    bom, nan = "\ufeff", '"metrics": {"mos": 3, "utmos": NaN, "pesq": null}}'
    line = bom + '{"audio_path": "wav/a.wav", "system_id": 15, "sample_id": "a", "duration": 2.0, ' + nan
    path = write(tmp_path / "data.jsonl", line, "", row())
    first, second = read_manifest(path)
    assert first == Utterance(str(tmp_path / "wav" / "a.wav"), "a", 2.0, {"mos": 3.0}, system_id="15")
    assert (first.corpus, first.votes) == (None, None)
    assert second.audio_path == "/a.wav"


def test_relative_paths_travel_with_the_folder(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    (old / "m").mkdir(parents=True)
    write_manifest(
        old / "m" / "data.jsonl", [Utterance(str(old / "wav" / "a.wav"), "a", 1.0, {})], relative=True
    )
    assert json.loads((old / "m" / "data.jsonl").read_text())["audio_path"] == "../wav/a.wav"
    old.rename(new)
    assert read_manifest(new / "m" / "data.jsonl")[0].audio_path == str(new / "wav" / "a.wav")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "not JSON"),
        ("[]", "found list; expected a JSON object"),
        (row(audio_path=None), "no 'audio_path'"),
        (row(audio_path=3), "audio_path is 3"),
        (row(duration="2"), "duration is '2'; expected a number"),
        (row(duration=-1), "duration is -1; expected a finite number >= 0"),
        (row(duration=True), "duration is True"),
        (row(metrics=[1]), "metrics is [1]"),
        (row(metrics={"mos": "3"}), "metrics.mos is '3'; expected a number"),
        (row(metrics={"mos": math.inf}), "metrics.mos is inf; expected a finite number"),
        (row(system_id=[]), "system_id is []; expected a string"),
        (row(sample_rate=0), "sample_rate is 0; expected a finite number >= 1"),
    ],
)
def test_anything_else_is_an_error_with_its_line(tmp_path: Path, line: object, message: str) -> None:
    path = write(tmp_path / "data.jsonl", row(), line)
    with pytest.raises(DataError) as error:
        read_manifest(path)
    assert str(error.value).startswith(f"{path}:2: ")
    assert message in str(error.value)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none\.jsonl: cannot be read: No such file"):
        read_manifest(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="Is a directory"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("content", ["", "\n", "\ufeff"])
def test_a_manifest_without_an_utterance_is_an_error(tmp_path: Path, content: str) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=r"data\.jsonl: no utterance; expected one a line"):
        read_manifest(path)


def test_iterates_without_reading_ahead(tmp_path: Path) -> None:
    path = write(tmp_path / "data.jsonl", row(), "broken")
    assert next(iter_manifest(path)).sample_id == "a"


def test_nan_is_never_written() -> None:
    with pytest.raises(DataError, match="sample 'a': mos is nan"):
        to_line(Utterance("/a.wav", "a", 1.0, {"mos": math.nan}))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    write_manifest(path, [FULL])
    before = path.read_bytes()

    def breaks():  # type: ignore[no-untyped-def]
        yield FULL
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_manifest(path, breaks())
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["data.jsonl"]


def test_scale_and_language_are_kept_and_the_baseline_keys_stay(tmp_path: Path) -> None:
    clip = Utterance("/a.wav", "a", 1.0, {"mos": 55.0}, language="hi", scales={"mos": (0.0, 100.0)})
    write_manifest(tmp_path / "m.jsonl", [clip])
    assert read_manifest(tmp_path / "m.jsonl") == [clip]
    assert json.loads((tmp_path / "m.jsonl").read_text())["scales"] == {"mos": [0.0, 100.0]}


@pytest.mark.parametrize(
    ("scales", "message"),
    [
        ("[1, 5]", "scales is .1, 5.; expected an object"),
        ('{"mos": [1]}', "expected an object such as"),
        ('{"mos": [5, 1]}', r"scales\.mos is \[5, 1\]; expected the lower bound first"),
        ('{"mos": [3, 3]}', "expected the lower bound first"),
        ('{"mos": [-1.7e308, 1.7e308]}', "a width that is finite"),
        ('{"mos": [1, null]}', r"scales\.mos is None; expected a number"),
    ],
)
def test_a_scale_that_is_none_is_an_error(scales: str, message: str, tmp_path: Path) -> None:
    row = {"audio_path": "a.wav", "sample_id": "a", "duration": 1, "metrics": {"mos": 3}}
    write(tmp_path / "m.jsonl", row | {"scales": json.loads(scales)})
    with pytest.raises(DataError, match=message):
        read_manifest(tmp_path / "m.jsonl")
