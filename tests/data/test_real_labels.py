"""The real label files of three corpora: published counts, and pandas as the independent reader."""

import csv
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from sqa_data import get_corpus
from sqa_data.corpus import Sample
from tiny_corpora import workbook


def parsed(name: str, root: Path) -> list[Sample]:
    rows = list(get_corpus(name).parse(root))
    assert all(isinstance(row, Sample) for row in rows)
    return rows  # type: ignore[return-value]


def test_nisqa(shared: Path, tmp_path: Path) -> None:
    """The public summary lists clips of all databases; here they go back into the files of the archive."""
    table = pd.read_csv(shared / "data" / "labels" / "NISQA_corpus_mos.csv")
    assert len(table) == 14432
    table["db"] = table.filepath_deg.str.split("/").str[0]
    table["filename_deg"] = table.filepath_deg.str.split("/").str[-1]
    table["con"] = table.groupby("db").cumcount() // 4 + 1  # the summary has none
    for db, rows in table.groupby("db"):
        (tmp_path / str(db)).mkdir()
        columns = ["db", "con", "filename_deg", "votes", "mos", "mos_std"]
        rows[columns].to_csv(tmp_path / str(db) / f"{db}_file.csv", index=False)
    rows = parsed("nisqa", tmp_path)
    counts = Counter(row.split for row in rows)
    assert counts == {"train": 11020, "dev": 2700, "FOR": 240, "P501": 240, "LIVETALK": 232}
    assert counts == {split: facts.samples for split, facts in get_corpus("nisqa").splits.items()}
    assert len({(row.split, row.sample_id) for row in rows}) == 14432

    ours = {row.audio: (row.metrics["mos"], row.votes, row.mos_std) for row in rows}
    for row in table.itertuples():
        mos, votes, std = ours[row.filepath_deg]
        assert (mos, votes) == (row.mos, row.votes)
        assert std == row.mos_std or (std is None and pd.isna(row.mos_std))
    # condition 1 of SIM and of LIVE are two systems
    systems = {row.system_id for row in rows if row.split == "train" and str(row.system_id).endswith("-1")}
    assert systems == {"NISQA_TRAIN_SIM-1", "NISQA_TRAIN_LIVE-1"}


def test_tencent(shared: Path, tmp_path: Path) -> None:
    labels = shared / "data" / "labels"
    names = ("withoutReverberationTrainDevMOS.csv", "withReverberationTrainDevMOS.csv")
    for name in names:
        shutil.copy(labels / name, tmp_path)
    rows = parsed("tencent", tmp_path)
    assert len(rows) == 11563 == get_corpus("tencent").splits["train"].samples
    assert {row.system_id for row in rows} == {None}
    tables = [pd.read_csv(labels / name) for name in names]
    assert [len(table) for table in tables] == [8366, 3197]
    theirs = pd.concat(tables)
    assert [row.metrics["mos"] for row in rows] == theirs.mos.tolist()
    # the ids that the baseline makes of these paths
    assert [row.sample_id for row in rows] == [
        path.replace("./", "").replace(".wav", "").replace("/", "_") for path in theirs.deg_wav
    ]


@pytest.mark.parametrize("folder", ["withReverberationTrainDev", "withReverberationTrainDevMOS"])
def test_tencent_folder_in_either_spelling(shared: Path, tmp_path: Path, folder: str) -> None:
    for name in ("withoutReverberationTrainDevMOS.csv", "withReverberationTrainDevMOS.csv"):
        shutil.copy(shared / "data" / "labels" / name, tmp_path)
    (tmp_path / folder).mkdir()
    rows = [row for row in parsed("tencent", tmp_path) if row.audio.startswith("withReverb")]
    assert len(rows) == 3197
    assert {row.audio.split("/")[0] for row in rows} == {folder}


def test_tcd_voip(shared: Path, tmp_path: Path) -> None:
    with (shared / "data" / "labels" / "tcd_voip_testset_subjective_mos.csv").open() as file:
        table = list(csv.DictReader(file))
    body = [[row["Filename"], int(row["Filename"].split("_")[1]), float(row["MOS"])] for row in table]
    sheet = workbook("Subjective Test Scores", [["Filename", "ConditionID", "sample MOS"], *body])
    (tmp_path / "mos.xlsx").write_bytes(sheet)
    rows = parsed("tcd-voip", tmp_path)
    assert len(rows) == 384
    conditions = Counter(str(system).split("-")[0] for system in {row.system_id for row in rows})
    assert conditions == {"CHOP": 24, "NOISE": 24, "ECHO": 20, "CLIP": 14, "COMPSPKR": 14}
    facts = get_corpus("tcd-voip").splits["train"]
    assert (facts.samples, facts.systems) == (384, sum(conditions.values()))
    assert {row.sample_id: row.metrics["mos"] for row in rows} == {
        row["Filename"].removesuffix(".wav"): float(row["MOS"]) for row in table
    }
