"""The baseline's ids: what its scripts write into their tables, as pandas reads these, is what `prepare` gives.

`WRITTEN` has that for the corpora of tiny_corpora, by hand, after its public scripts: (sample_id, system_id) by split.
"""

import json
from pathlib import Path

import pandas
import pytest
import sqa_metrics
from commands import run
from sqa_data import list_corpora, read_manifest
from sqa_data.baseline import as_number
from sqa_data.prepare import prepare
from tiny_corpora import build, tone, zipped

Ids = list[tuple[str, str]]


def voicemos() -> dict[str, Ids]:
    train = [("uttaa", "sys1"), ("uttab", "sys1"), ("uttac", "sys2")]
    return {"train": train, "dev": [("uttba", "sys1")]}


def urgent(year: int, test: str) -> dict[str, Ids]:
    train = [(f"validation_{year}_{s}_x_fileid_{n}", s) for s, n in (("s1", 1), ("s1", 2), ("s2", 3))]
    train += [(f"nonblind_test_{year}_s3_x_fileid_4", "s3")]
    return {"train": train, test: [(f"blind_test_mos_{year}_s1_x_fileid_5", "s1")]}


# the conditions of the live half of "train" are written 1.0
NISQA = {
    "train": [
        (f"c00001_train_{kind} {t}", con) for kind, con in (("sim", "1"), ("live", "1.0")) for t in "ab"
    ],
    "dev": [(f"c00001_val_{kind} {talker}", "1") for kind in ("sim", "live") for talker in "ab"],
    **{
        name: [(f"c00001_test_{name.lower()} {t}", "1") for t in "ab"] for name in ("FOR", "P501", "LIVETALK")
    },
}
TENCENT = [
    "withoutReverberationTrainDev_00001",
    "withoutReverberationTrainDev_00002",
    "withReverberationTrainDevMOS_0000",
]
WRITTEN: dict[str, dict[str, Ids]] = {
    "bc19": voicemos(),
    "bvcc": voicemos(),
    "chime-7-udase-eval": {"test": [("C1_S01_a", "C1"), ("C2_S01_a", "C2")]},
    "nisqa": NISQA,
    "pstn": {"train": [("s0001", "s0001"), ("s0002", "s0002")]},
    "somos": {
        "train": [("novel_1_015.wav", "015"), ("novel_2_015.wav", "015")],
        "dev": [("novel_3_000.wav", "000")],
        "test": [("novel_4_999.wav", "999")],
    },
    "tcd-voip": {
        "train": [
            *(("C_01_ECHO_FA", "001"), ("C_01_ECHO_MK", "001")),
            *(("C_01_CHOP_FA", "001"), ("C_02_CHOP_FA", "002")),
        ]
    },
    "tencent": {"train": [(name, name) for name in TENCENT]},
    "tmhint-qi": {
        "train": [("FCN_babble_-2_u1", "FCN-SNR-2-babble"), ("DDAE_street_1_u2", "DDAE-SNR1-street")],
        "test": [("KLT_white_1_語音", "KLT-SNR1-white")],
    },
    "ttsds2": {"train": [("noisy-xtts-0001", "noisy-xtts"), ("kids-f5-0001", "kids-f5")]},
    "urgent2024-sqa": urgent(2024, "test"),
    "urgent2025-sqa": urgent(2025, "blind_test_mos"),
}
# what a file of the baseline's scores cannot be joined with, unless the ids are its own
DIFFERENT_SAMPLES = {"bc19", "bvcc"}


def as_read(rows: Ids, folder: Path) -> Ids:
    """The ids of a table that pandas has read, as text."""
    table = folder / "table.csv"
    pandas.DataFrame(rows, columns=["sample_id", "system_id"]).assign(wav_path="a.wav").to_csv(table)
    return [(f"{row['sample_id']}", f"{row['system_id']}") for _, row in pandas.read_csv(table).iterrows()]


def prepared(name: str, folder: Path, ids: str) -> Path:
    build(name, folder / "raw" / name)
    # partial: the audio of two corpora does not lie in their archives
    done = prepare(name, folder / "raw", folder / ids, partial=True, ids=ids)  # type: ignore[arg-type]
    if ids == "baseline":
        assert f"{name}: ids as the 2026 baseline gives them" in done.notes
    return folder / ids / name


def test_the_table_has_every_corpus_that_the_baseline_has() -> None:
    assert WRITTEN.keys() == {corpus.name for corpus in list_corpora() if corpus.baseline_ids}


@pytest.mark.parametrize("name", WRITTEN)
def test_ids_are_the_baselines_and_its_score_files_join(name: str, tmp_path: Path) -> None:
    ours, theirs = (prepared(name, tmp_path, ids) for ids in ("ours", "baseline"))
    for split, written in WRITTEN[name].items():
        rows = read_manifest(theirs / split / "data.jsonl")
        expected = as_read(written, tmp_path)
        assert sorted((row.sample_id, row.system_id) for row in rows) == sorted(expected)
        assert [row.sample_id for row in rows] == sorted(row.sample_id for row in rows)
        # everything but ids, and the order that they make, stays
        mine = read_manifest(ours / split / "data.jsonl")
        facts = [
            sorted((r.audio_path, r.duration, *r.metrics.items()) for r in read) for read in (rows, mine)
        ]
        assert facts[0] == facts[1]
        if (ratings := theirs / split / "ratings.jsonl").exists():
            of_ratings = {json.loads(line)["sample_id"] for line in ratings.read_bytes().splitlines()}
            assert of_ratings <= {row.sample_id for row in rows}

        if not all("mos" in row.metrics for row in rows):
            continue
        results = tmp_path / "results.jsonl"
        scores = [{"sample_id": u, "system_id": s, "metrics": {"mos": 3.0}} for u, s in expected]
        results.write_text("".join(json.dumps(row) + "\n" for row in scores), encoding="utf-8")
        assert len(sqa_metrics.pair(theirs / split / "data.jsonl", {"p": results}).ref) == len(rows)
        if name in DIFFERENT_SAMPLES:
            with pytest.raises(sqa_metrics.MetricsError, match="does not cover"):
                sqa_metrics.pair(ours / split / "data.jsonl", {"p": results})


def test_numbers_lose_their_zeros(tmp_path: Path) -> None:
    """PSTN's clips are numbered, and have no system."""
    clips = ["000000_a.wav", "000012_b.wav", "104200.wav"]
    table = "filename,MOS,std,95%CI,votes\n" + "".join(f"{clip},3,0.5,0.4,4\n" for clip in clips)
    files = {f"pstn_train/{clip}": tone(clip, 8000) for clip in clips}
    (tmp_path / "raw" / "pstn").mkdir(parents=True)
    zipped(tmp_path / "raw" / "pstn" / "train.zip", {"pstn_train/pstn_train.csv": table.encode(), **files})
    prepare("pstn", tmp_path / "raw", tmp_path / "data", ids="baseline", accept_layout=True)
    rows = read_manifest(tmp_path / "data" / "pstn" / "train" / "data.jsonl")
    expected = as_read([("000000", "000000"), ("000012", "000012"), ("104200", "104200")], tmp_path)
    assert [(row.sample_id, row.system_id) for row in rows] == sorted(expected)
    # and its labels find them, whichever ids the manifest has
    labels = tmp_path / "labels" / "pstn" / "train"
    labels.mkdir(parents=True)
    (labels / "utmos.scp").write_text("0 2.5\n12 1.5\n104200 3.5\n")
    for ids in ("baseline", "ours"):
        prepare("pstn", tmp_path / "raw", tmp_path / ids, ids=ids)  # type: ignore[arg-type]
        run("data", "import", tmp_path / "labels", "--into", tmp_path / ids)
        rows = read_manifest(tmp_path / ids / "pstn" / "train" / "data.jsonl")
        found = {as_number(row.sample_id): row.metrics["utmos"] for row in rows}
        assert found == {"0": 2.5, "12": 1.5, "104200": 3.5}


@pytest.mark.parametrize(
    "texts", [["000", "015", "199"], ["-07", "+3", "0"], ["0a", "1b"], ["9" * 18, "0" * 18], ["1e3x", ""]]
)
def test_a_column_is_read_as_pandas_reads_it(texts: list[str], tmp_path: Path) -> None:
    (tmp_path / "column.csv").write_text("id,x\n" + "".join(f"{text},y\n" for text in texts))
    read = pandas.read_csv(tmp_path / "column.csv", keep_default_na=False)["id"]
    if texts[1] != "+3":  # no id begins so
        assert list(map(str, read)) == list(map(as_number, texts))


@pytest.mark.parametrize("corpus", [c for c in list_corpora() if c.baseline_ids], ids=lambda c: c.name)
def test_a_name_of_the_baseline_gives_it_back(corpus) -> None:  # type: ignore[no-untyped-def]
    theirs = corpus.baseline_ids.of(*corpus.baseline_ids.example)
    assert corpus.baseline_ids.of(*theirs) == theirs


def test_the_rule_is_shown() -> None:
    shown = run("data", "show", "bvcc")
    assert "ids       sample_id sys64e2f-utt9c183cd, system_id sys64e2f" in shown
    assert "--ids baseline: sample_id utt9c183cd, system_id sys64e2f" in shown
    assert "--ids baseline: sample_id 0, system_id 0" in run("data", "show", "pstn")
    assert "--ids baseline: the same" in run("data", "show", "ttsds2")
    assert "baseline" not in run("data", "show", "vcc2020")
    facts = json.loads(run("data", "show", "nisqa", "--json"))["baseline_ids"]
    assert (facts["ours"][1], facts["baseline"][1]) == ("NISQA_TEST_FOR-1", "1")
    assert json.loads(run("data", "show", "vcc2020", "--json"))["baseline_ids"] is None


def test_a_corpus_that_the_baseline_lacks_keeps_its_ids(tmp_path: Path) -> None:
    build("tmhint-qi-s", tmp_path / "raw" / "tmhint-qi-s")
    places = ["--raw", tmp_path / "raw", "--out"]
    told = run("data", "prepare", "tmhint-qi-s", *places, tmp_path / "a", "--ids", "baseline", "--partial")
    assert "tmhint-qi-s: the 2026 baseline has no such corpus" in told
    run("data", "prepare", "tmhint-qi-s", *places, tmp_path / "b", "--partial")
    a, b = ({p.name: p.read_bytes() for p in (tmp_path / x).rglob("data.jsonl")} for x in "ab")
    assert a == b
    assert a
