"""Every corpus of assumed layout stops: at a column too many or too few, a value off its scale, other counts."""

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqa_data import DataError, get_corpus, list_corpora
from sqa_data.prepare import prepare
from sqa_data.prepare.surprises import require_counts  # as it is outside the tests
from sqa_data.prepare.unpack import unpack_corpus
from sqa_data.prepare.writer import SplitCount
from sqa_data.sources.parquet import parts
from tiny_corpora import build

ASSUMED = {corpus.name: corpus for corpus in list_corpora() if corpus.assumed}
WITHOUT_HEADER = {"vcc2018"}
WITHOUT_LABELS = {"vmc2026-track1-dev", "vmc2026-track1-test"}
WITHOUT_COUNTS = {"amc25-track3", "mos260", "speecheval", "speechjudge"}
# a label file, one of its columns, and what no listener can have said
OUTSIDE: dict[str, tuple[str, str, object]] = {
    "amc25-track3": ("train/utt_24k.csv", "rating", "7"),
    "brspeechmos": ("val.csv", "mos", "0.5"),
    "chime-7-udase-eval": ("listening_test/MOS_results_listening_test.csv", "MOS", "5.5"),
    "ears-emo-openace": ("metadata.csv", "distorted_mushra_rating", "101"),
    "ljs-mos-120": ("**/*.csv", "score", "6"),
    "mango": ("csvs/tamil_mushra.csv", "VITS", "100.5"),
    "mos260": ("train", "intelligibility", 5.5),
    "odaq": ("ODAQ/ODAQ_listening_test/*.xml", "testFile.score", "101"),
    "odaq-bsu": ("ODAQ_v1_BSU/Cohort_*/*.xml", "testFile.score", "-1"),
    "singmos-pro": ("info/score.json", "utterance.*.score.mos", 0.5),
    "speecheval": ("preference/train.jsonl", "preference", "C"),
    "speechjudge": ("dev", "naturalness_label", "C"),
    "urgent2026-sqa": ("acr", "mos", 9.0),
    "yourtts": ("PT-Sim-MOS.csv", "score", "6"),
}
Row = dict[str, object]


def laid_out(name: str, tmp_path: Path) -> Path:
    """A small corpus, unpacked; the folder of its label files."""
    other = get_corpus(name).audio_of
    for each in filter(None, (other, name)):
        build(each, tmp_path / "raw" / each)
    return unpack_corpus(get_corpus(name), tmp_path / "raw")


def files_of(name: str, root: Path, pattern: str) -> list[Path]:
    hub = ASSUMED[name].hub
    return parts(root, pattern) if hub and hub.splits else sorted(root.glob(pattern))


def change(path: Path, column: str, act: Callable[[Row, str], object]) -> None:
    """Act on each row of a label file, or each object that has the column, and the column's name in it."""
    last = column.rpartition(".")[2]
    if path.suffix == ".parquet":
        rows = pq.read_table(path).to_pylist()
        for row in rows:
            act(row, last)
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        value = json.loads(path.read_text())
        for found in inner(value, column.split(".")[:-1]):
            act(found, last)
        path.write_text(json.dumps(value))
    elif path.suffix == ".jsonl":
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            act(row, last)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif path.suffix == ".xml":
        element = column.partition(".")[0]
        path.write_text(
            re.sub(rf"(?<=<{element} )[^>/?]*", lambda m: attributes(m[0], last, act), path.read_text())
        )
    else:
        rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
        for row in rows:
            act(row, last)
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def attributes(text: str, name: str, act: Callable[[Row, str], object]) -> str:
    row: Row = dict(re.findall(r'(\w+)="([^"]*)"', text))
    act(row, name)
    return " ".join(f'{key}="{value}"' for key, value in row.items())


def inner(value: Row, keys: list[str]) -> list[Row]:
    for key in keys:
        return [row for k in (value if key == "*" else [key]) for row in inner(value[k], keys[1:])]  # type: ignore[arg-type]
    return [value]


@pytest.mark.parametrize("name", sorted(ASSUMED.keys() - WITHOUT_HEADER))
def test_a_column_that_is_not_known(name: str, tmp_path: Path) -> None:
    root = laid_out(name, tmp_path)
    pattern, columns = next(iter(ASSUMED[name].columns.items()))
    path = files_of(name, root, pattern)[0]
    place = [column for column in columns if not column.endswith("?")][-1].rpartition(".")[0]
    change(path, f"{place}.surprise" if place else "surprise", lambda row, key: row.update({key: "1"}))
    told = rf"{re.escape(str(path))}: unknown columns surprise; found .*surprise.* please report .* --accept-layout"
    with pytest.raises(DataError, match=told):
        prepare(name, tmp_path / "raw", tmp_path / "out")
    prepare(name, tmp_path / "raw", tmp_path / "out", accept_layout=True)


@pytest.mark.parametrize("name", sorted(ASSUMED.keys() - WITHOUT_HEADER))
def test_columns_that_are_missing(name: str, tmp_path: Path) -> None:
    """Each of each label file."""
    root = laid_out(name, tmp_path)
    lost = 0
    tables = [
        (path, column)
        for pattern, columns in ASSUMED[name].columns.items()
        for path in [path for path in files_of(name, root, pattern) if path.stat().st_size][:1]
        for column in columns
        if not column.endswith("?")
    ]
    for path, column in tables:
        content = path.read_bytes()
        change(path, column, lambda row, key: row.pop(key, None))
        if path.read_bytes() != content:
            lost += 1
            with pytest.raises(DataError, match=re.escape(f"{path}: no column {column.lower()!r}; found ")):
                prepare(name, tmp_path / "raw", tmp_path / "out")
        path.write_bytes(content)
    assert lost


@pytest.mark.parametrize("name", sorted(ASSUMED.keys() - WITHOUT_HEADER - WITHOUT_LABELS))
def test_a_value_outside_its_scale(name: str, tmp_path: Path) -> None:
    root = laid_out(name, tmp_path)
    pattern, column, value = OUTSIDE[name]
    path = files_of(name, root, pattern)[0]
    change(path, column, lambda row, key: row.update({key: value}))
    with pytest.raises(DataError, match=rf"{re.escape(str(path))}.*expected") as error:
        prepare(name, tmp_path / "raw", tmp_path / "out", accept_layout=True)
    assert str(value) in str(error.value)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("\n", ",1\n", "17 fields; expected 16"),
        (",5,", ",6,", "expected a number in 1..5"),
        (",", "", "fields; expected"),
    ],
)
def test_a_table_without_a_header(old: str, new: str, told: str, tmp_path: Path) -> None:
    path = laid_out("vcc2018", tmp_path) / "vcc2018_listening_test_scores" / "vcc2018_evaluation_mos.txt"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(DataError, match=told):
        prepare("vcc2018", tmp_path / "raw", tmp_path / "out")


@pytest.mark.parametrize("name", sorted(ASSUMED))
def test_counts_unlike_the_published(name: str) -> None:
    corpus = ASSUMED[name]

    def counted(**more: int) -> dict[str, SplitCount]:
        return {
            split: SplitCount(
                samples=(facts.samples or 0) + more.get(split, 0),
                systems={str(n) for n in range(facts.systems or 0)},
            )
            for split, facts in corpus.splits.items()
        }

    usual = next(iter(corpus.splits))
    rest = corpus.clips[0] - sum(count.samples for count in counted().values()) if corpus.clips else 0
    require_counts(corpus, counted(**{usual: rest}))
    if name in WITHOUT_COUNTS:
        assert not corpus.clips
        assert all(facts.samples is None is facts.systems for facts in corpus.splits.values())
        return
    published = [split for split, facts in corpus.splits.items() if facts.samples is not None]
    for split in published or [usual]:
        more = {usual: rest}
        more[split] = more.get(split, 0) - 1
        with pytest.raises(DataError, match=r"samples.*; published are [\d,]+.* The layout"):
            require_counts(corpus, counted(**more))
    require_counts(replace(corpus, assumed=False), counted(**{usual: rest - 1}))


def test_what_is_exempt_is_so_for_its_reason() -> None:
    assert {name for name, corpus in ASSUMED.items() if not corpus.columns} == WITHOUT_HEADER
    assert OUTSIDE.keys() == ASSUMED.keys() - WITHOUT_HEADER - WITHOUT_LABELS
