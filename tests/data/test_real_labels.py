"""The real label files of several corpora: published counts, and pandas as the independent reader."""

import csv
import json
import shutil
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from sqa_data import DataError, get_corpus
from sqa_data.corpus import Rating, Sample
from sqa_data.prepare.opinions import utterances
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
    sheet = workbook({"Subjective Test Scores": [["Filename", "ConditionID", "sample MOS"], *body]})
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


def test_tmhint_qi_s(shared: Path, tmp_path: Path) -> None:
    shutil.copy(shared / "data" / "labels" / "tmhint_qi_s_answer.csv", tmp_path / "answer.csv")
    rows = parsed("tmhint-qi-s", tmp_path)
    facts = get_corpus("tmhint-qi-s").splits
    for split, (samples, systems) in {"test": (1960, 97), "unofficial": (255, 1)}.items():
        found = [row for row in rows if row.split == split]
        assert (len(found), len({row.system_id for row in found})) == (samples, systems)
        assert (facts[split].samples, facts[split].systems) == (samples, systems)
    # at -2 dB, where the name has two hyphens
    assert sum("snr-2" in str(row.system_id) for row in rows) == 480
    table = pd.read_csv(shared / "data" / "labels" / "tmhint_qi_s_answer.csv", names=["clip", "mos"])
    assert {row.sample_id: row.metrics["mos"] for row in rows} == dict(
        zip(table["clip"], table["mos"], strict=True)
    )


def test_vmc24_track3(shared: Path, tmp_path: Path) -> None:
    """The published scores stay where the mean of the votes is another."""
    labels = shared / "data" / "labels"
    shutil.copy(labels / "vmc24_track3_answer.csv", tmp_path / "track3_answer.csv")
    shutil.copy(labels / "vmc24_track3_listener_wise.csv", tmp_path / "track3_listener_wise_answer.csv")
    corpus = get_corpus("vmc24-track3")
    found = [clip for clip, _ in utterances(corpus, tmp_path, corpus.parse(tmp_path))]  # type: ignore[arg-type]
    assert (len(found), len({clip.system_id for clip in found})) == (280, 7)
    published = pd.read_csv(labels / "vmc24_track3_answer.csv").set_index("systems")
    votes = pd.read_csv(labels / "vmc24_track3_listener_wise.csv").groupby("sample_id")
    assert all(votes.size() == 5)
    apart = (published.OVR - votes.ovr.mean()).abs()
    assert 120 < (apart > 1e-6).sum() < 130
    for clip in found:
        row = published.loc[clip.sample_id]
        assert clip.metrics == {"mos": row.OVR, "mos_sig": row.SIG, "mos_bak": row.BAK}
        assert clip.votes == (5 if apart[clip.sample_id] < 0.051 else None)


def test_hablamos(shared: Path, tmp_path: Path) -> None:
    """Without its audio nobody can tell whose clip a name of several voices is; all others are read."""
    table = pd.read_csv(shared / "data" / "labels" / "hablamos_train.csv")
    table.to_csv(tmp_path / "train.csv", index=False)
    for name in ("val.csv", "test.csv"):
        table[:0].to_csv(tmp_path / name, index=False)
    opinions = list(get_corpus("hablamos").parse(tmp_path))
    voices = table.groupby("wav_path").speaker_id.nunique()
    assert (voices > 1).sum() == 282
    clear = table[table.wav_path.map(voices) == 1]
    read = [row for row in opinions if isinstance(row, Rating)]
    assert len(read) == len(clear) + 282  # one of each such name, which `prepare` lists as missing
    assert len(opinions) - len(read) == len(table) - len(read)


def test_vmc24_zoomed(shared: Path, tmp_path: Path) -> None:
    """Written from the MOS of the shared reference: a histogram that has it."""
    lines = [
        json.loads(line) for line in (shared / "data/scores/bvcc_rerated_ref.jsonl").read_text().splitlines()
    ]
    assert len(lines) == 3610
    rows = []
    for row in lines:
        total = round(row["metrics"]["mos"] * 8)
        low, more = divmod(total, 8)
        counts = dict.fromkeys(range(1, 6), 0)
        counts[low] += 8 - more
        if more:
            counts[low + 1] += more
        histogram = ",".join(f"{value}:{n}" for value, n in counts.items())
        clip = row["sample_id"]
        mos = total / 8
        rows.append(f"{row['system_id']}/{clip}.wav {mos:.6f} 0.5 ({histogram},total: 8)")
    (tmp_path / "VMC2024_MOS").write_text("\n".join(rows))
    corpus = get_corpus("vmc24-zoomed")
    found = [clip for clip, _ in utterances(corpus, tmp_path, corpus.parse(tmp_path))]  # type: ignore[arg-type]
    assert (len(found), len({clip.system_id for clip in found})) == (3610, 95)
    assert {clip.votes for clip in found} == {8}


@pytest.mark.parametrize(
    "line",
    [
        "sys1/sys2-utta.wav 3.0 0.5 (1:0,2:0,3:1,4:0,5:0,total: 1)",
        "sys1/sys1-utta.wav 3.0 0.5 (1:0,2:0,3:1,4:0,5:0,total: 2)",
        "sys1/sys1-utta.wav 3.5 0.5 (1:0,2:0,3:1,4:0,5:0,total: 1)",
        "sys1/sys1-utta.wav 3.0 0.5 (1:0,2:0,3:99999999999,4:0,5:0,total: 99999999999)",
        "sys1/sys1-utta.wav 3.0 0.5 (1:0,2:0,3:0,4:0,5:0,total: 0)",
    ],
)
def test_a_histogram_that_contradicts_itself_is_an_error(line: str, tmp_path: Path) -> None:
    (tmp_path / "VMC2024_MOS").write_text(line)
    with pytest.raises(DataError, match="VMC2024_MOS:1: "):
        list(get_corpus("vmc24-zoomed").parse(tmp_path))
