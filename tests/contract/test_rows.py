"""sqa-data and sqa-metrics read the same rows alike, and call the same files the same, by `table`."""

import contextlib
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from contract.table import FILES, LISTS, ONE, PATHS, ROWS, TOGETHER, Reading, Wrong, reading_of
from sqa_data import DataError, read_manifest
from sqa_data.clip_list import list_clips
from sqa_data.ids import SUFFIXES, clip_id, clip_ids
from sqa_data.results import read_results
from sqa_metrics import MetricsError
from sqa_metrics.rows import ids as metrics_ids
from sqa_metrics.rows.columns import pair as pair_columns
from sqa_metrics.rows.read import read_scores

NAMES = pytest.mark.parametrize("name", ROWS)


def manifest(path: Path) -> list[Reading]:
    return [Reading(u.sample_id, u.system_id, u.corpus, u.metrics.get("mos")) for u in read_manifest(path)]


def clip_list(path: Path) -> list[Reading]:
    return [Reading(c.sample_id, c.system_id, c.corpus) for c in list_clips([str(path)]).entries]


def results(path: Path) -> list[Reading]:
    return [Reading(r["sample_id"], r.get("system_id"), r.get("corpus")) for r in read_results(path)]


def scores(path: Path) -> list[Reading]:
    """The reader of any score file."""
    found = read_scores(path)
    systems, corpora = found.system_id or [""] * len(found), found.corpus or [""] * len(found)
    return [
        Reading(i, s or None, c or None, v if math.isfinite(v) else None)
        for i, s, c, v in zip(found.sample_id, systems, corpora, found.value, strict=True)
    ]


def expected(row: Reading | Wrong, package: str, reader: Callable[[Path], list[Reading]]) -> Reading | None:
    reading = reading_of(row, package)
    if reading is None or reader in (manifest, scores):
        return reading
    return Reading(reading.sample_id, reading.system_id, reading.corpus)  # the others read no labels


def read(reader: Callable[[Path], list[Reading]], path: Path, line: int) -> Reading | None:
    """The last row of a file, None for an error, which must name its line."""
    with contextlib.suppress(DataError, MetricsError):
        return reader(path)[-1]
    with pytest.raises((DataError, MetricsError), match=f"^{path}:{line}: "):
        reader(path)
    return None


@NAMES
@pytest.mark.parametrize(("package", "reader"), [("sqa_data", manifest), ("sqa_metrics", scores)])
def test_rows(name: str, package: str, reader: Callable[[Path], list[Reading]], tmp_path: Path) -> None:
    line, row = ROWS[name]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(
        b'{"audio_path": "/0.wav", "sample_id": "first", "duration": 1, "metrics": {"mos": 2}}\n' + line
    )
    if name != "a pair" or package == "sqa_metrics":
        assert read(reader, path, 2) == expected(row, package, reader)


@NAMES
@pytest.mark.parametrize("reader", [clip_list, results])
def test_ids_in_lists_and_results(name: str, reader: Callable[[Path], list[Reading]], tmp_path: Path) -> None:
    """What these readers do not look at (labels, scales) or can do without (an id, for a list) is no error to them."""
    line, row = ROWS[name]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(line)
    wanted = expected(row, "sqa_data", reader)
    lenient = b'{"mos": 3.5}' not in line or b'"scales"' in line
    found = read(reader, path, 1) if name != "a pair" else None
    if wanted is not None or not (lenient or (reader is clip_list and "id" in name)):
        assert found == wanted


@NAMES
def test_the_fast_road_reads_alike_or_leaves_it_to_the_other(name: str) -> None:
    line, row = ROWS[name]
    wanted = reading_of(row, "sqa_metrics")
    found = pair_columns(ONE + b"\n" + line, {"pred": ONE + b"\n" + line}, "mos", "mos")
    if found is not None:
        assert wanted is not None
        assert wanted.mos == found.preds[0][-1]
        assert found.corpora == sorted({"", wanted.corpus or ""})
        assert [system for _, system in found.systems] == ([wanted.system_id] if wanted.system_id else [])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("reader", [manifest, clip_list, results, scores])
def test_files(name: str, reader: Callable[[Path], list[Reading]], tmp_path: Path) -> None:
    content, ids = FILES[name]
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    assert [row.sample_id for row in reader(path)] == ids


@pytest.mark.parametrize("name", LISTS)
def test_lists(name: str, tmp_path: Path) -> None:
    content, ids = LISTS[name]
    path = tmp_path / "list.scp"
    path.write_bytes(content.replace(b"%b", b"a.wav"))
    assert [row.sample_id for row in clip_list(path)] == ids
    path.write_bytes(content.replace(b"%b", b"3.5"))
    assert [row.sample_id for row in scores(path)] == ids


def test_paths() -> None:
    assert SUFFIXES == metrics_ids.SUFFIXES
    for path, sample_id in PATHS.items():
        assert clip_id(path) == metrics_ids.clip_id(path) == sample_id, path
    for suffix in SUFFIXES:
        assert clip_id(f"a/b{suffix}") == metrics_ids.clip_id(f"a\\b{suffix.upper()}") == "b"


@pytest.mark.parametrize("paths", TOGETHER)
def test_paths_listed_together(paths: tuple[str, ...], tmp_path: Path) -> None:
    table = tmp_path / "scores.csv"
    table.write_text("wav_path,mos\n" + "".join(f"{path},3\n" for path in paths))
    assert clip_ids(paths) == read_scores(table).sample_id == TOGETHER[paths]


def test_pairs(tmp_path: Path) -> None:
    """A pair is its two clips to whatever lists clips."""
    path = tmp_path / "pairs.jsonl"
    path.write_bytes(ROWS["a pair"][0])
    assert manifest(path) == [Reading("a", mos=None), Reading("b", mos=None)]
    assert clip_list(path) == [Reading("a"), Reading("b")]
