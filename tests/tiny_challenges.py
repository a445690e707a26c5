"""More corpora in small: the listening tests of challenges. See `tiny_corpora`."""

import io
import json
import zipfile
from pathlib import Path

from tiny_corpora import Clip, Expected, tarred, tone, zipped


def parquet(path: Path, rows: list[dict[str, object]]) -> None:
    """A parquet file of these rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)


def flac(name: str, rate: int = 16000) -> dict[str, object]:
    return {"bytes": tone(name, rate, kind="FLAC"), "path": f"{name}.flac"}


def urgent2026(folder: Path) -> Expected:
    """One utterance of two systems, rated alone; a pair of them, with its mean and its ratings."""
    base = {"utterance_id": "fileid_7", "speaker_id": "p1", "language": "jpn", "is_simulated": True}
    alone = [
        {"sample_id": f"acr_fileid_7_{n}", "system_id": f"s{n}", **base, "audio": flac(f"7_{n}")}
        | {"mos": mos, "listener_scores": ratings}
        for n, mos, ratings in ((1, 3.667, [4.0, 3.0, 4.0]), (2, 2.0, [2.0]))
    ]
    parquet(folder / "data" / "acr" / "test-00000-of-00001.parquet", alone)
    sides = {"audio_a": flac("7_1"), "audio_b": flac("7_2")}
    pair = {"sample_id": "ccr_fileid_7_0", **base, **sides, "cmos": 1.5, "listener_scores": [2.0, 1.0]}
    parquet(folder / "data" / "ccr" / "test-00000-of-00001.parquet", [pair])
    return {
        "acr": {"acr_fileid_7_1": Clip("s1", 3.667, 3), "acr_fileid_7_2": Clip("s2", 2.0, 1)},
        "ccr": {"ccr_fileid_7_0_a": Clip(None, None), "ccr_fileid_7_0_b": Clip(None, None)},
    }


def vmc2026_track1(folder: Path, which: str) -> Expected:
    """The same without systems and labels."""
    acr, ccr = (f"vmc2026-track1-{which}-{kind}_1" for kind in ("acr", "ccr"))
    shared = {"sample_rate": 16000, "duration": 0.1}
    file = f"{which}-00000-of-00001.parquet"
    parquet(folder / "data" / "acr" / file, [{"sample_id": acr, "audio": flac(acr), **shared}])
    sides = {"audio_a": flac("a"), "audio_b": flac("b")}
    parquet(folder / "data" / "ccr" / file, [{"sample_id": ccr, **sides, **shared}])
    return {
        "acr": {acr: Clip(None, None)},
        "ccr": {f"{ccr}_a": Clip(None, None), f"{ccr}_b": Clip(None, None)},
    }


def svcc23(folder: Path) -> Expected:
    """One listener voted twice on a clip."""
    clips = [f"VoiceMOS2023Track2-{rest}" for rest in ("B01-SF1-CDF1-30001", "T02-SM1-IDM1-10002")]
    votes = [(clips[0], "l1", 3), (clips[0], "l1", 5), (clips[0], "l2", 1), (clips[1], "l1", 4)]
    rows = "".join(f"{clip},{listener},{vote}\n" for clip, listener, vote in votes)
    (folder / "listener_wise_answer.csv").write_text(f"sample_id,listener_name,score\n{rows}")
    names = [f"VoiceMOS_2023_track2/{clip}.wav" for clip in clips]
    zipped(folder / "VoiceMOS_2023_track2.zip", {name: tone(name, 24000) for name in names})
    return {"test": {clips[0]: Clip("B01", 3.0, 3), clips[1]: Clip("T02", 4.0, 1)}}


def bc23(folder: Path) -> Expected:
    """Team A in the tests of both voices."""
    clips = {"A-NEB_test_0001": 4.25, "A-AD_test_0001": 2.5, "BF-AD_test_0026": 3.0}
    track = "VoiceMOS2023Track1-"
    (folder / "answer.csv").write_text("".join(f"{track}{clip},{mos}\n" for clip, mos in clips.items()))
    names = [f"VoiceMOS2023Track1/{track}{clip}.wav" for clip in clips]
    audio = {name: tone(name, 22050) for name in names}
    zipped(folder / "VoiceMOS2023Track1.zip", audio | {f"__MACOSX/{names[0]}": b"x"})
    return {
        "NEB": {f"{track}A-NEB_test_0001": Clip("A-NEB", 4.25)},
        "AD": {
            f"{track}A-AD_test_0001": Clip("A-AD", 2.5),
            f"{track}BF-AD_test_0026": Clip("BF-AD", 3.0),
        },
    }


def vcc2018(folder: Path) -> Expected:
    """A team in both tasks, and one that only LDNet's lists name."""
    audio = "mnt/sysope/test_files/testVCC2"
    ends = ("VCC2TF1_VCC2SF1_30001_HUB", "VCC2TF1_VCC2SF3_30001_SPO", "VCC2TF1_VCC2SF1_30002_HUB")
    clips = [f"N11_{ends[0]}", f"N11_{ends[1]}", f"B01_{ends[2]}"]
    names = [f"{audio}/{clip}.wav" for clip in clips]
    tarred(
        folder / "vcc2018_submitted_systems_converted_speech.tar.gz",
        {name: tone(name, 22050) for name in names},
    )

    def row(user: str, clip: str, mos: int) -> str:
        system, target, source, _, task = clip.split("_")
        return (
            f"T1,{user},G1,3,{system},\\N,{source},{target},{task},\\N,{mos},\\N,,2018-01-01,{clip}.wav,\\N\n"
        )

    table = row("U1", clips[0], 3) + row("U2", clips[0], 4) + row("U1", clips[1], 5)
    scores = "vcc2018_listening_test_scores"
    zipped(folder / f"{scores}.zip", {f"{scores}/vcc2018_evaluation_mos.txt": table.encode()})
    return {"train": {clips[0]: Clip("N11_HUB", 3.5, 2), clips[1]: Clip("N11_SPO", 5.0, 1)}}


def vcc2018_ldnet(folder: Path) -> Expected:
    """One vote a clip is left of valid and test, beside the mean of all."""
    hub, spoke, other = (
        "N11_VCC2TF1_VCC2SF1_30001_HUB",
        "N11_VCC2TF1_VCC2SF3_30001_SPO",
        "B01_VCC2TF1_VCC2SF1_30002_HUB",
    )
    sets = {
        "training": f"{hub}.wav,3.5,3,QM\n{hub}.wav,3.5,4,EP\n",
        "valid": f"{spoke}.wav,3.25,5,VV\n",
        "testing": f"{other}.wav,4.0,4,NV\n",
    }
    for name, rows in sets.items():
        (folder / f"vcc2018_{name}_data.csv").write_text(f"WAV_PATH,MEAN,MOS,JUDGE\n{rows}")
    return {
        "train": {hub: Clip("N11_HUB", 3.5, 2)},
        "dev": {spoke: Clip("N11_SPO", 3.25)},
        "test": {other: Clip("B01_HUB", 4.0)},
    }


def vcc2020(folder: Path) -> Expected:
    """The same clips by two groups of listeners; similarity, and a listener whom the organisers call invalid."""
    clips = {
        "team14_intra": ("T14/task1", "team14_intra-TEM1_SEM1_E30001"),
        "team02_cross": ("T02/task2", "team02_cross-TFF1_SEF1_E30005"),
        "team34_intra": ("SOU/task1", "team34_intra-TEM1_SEM1_E30001"),
        "ref": ("TAR/task2", "ref-TFM1_F40021"),
    }
    native = ("TAR/task1", "ref-TEM1_E30021")

    def score(
        clip: str, value: int, listener: str = "l1", kind: str = "Grade5", state: str = "Valid"
    ) -> object:
        sample = {"name": clip, "file_name": f"{clip}.wav", "system": {"abbreviation": clip.split("-")[0]}}
        return {
            "score_value": value,
            "listener": {"listener_id": listener, "state": state},
            "question": {"evaluation_method": kind},
            "samples": {"sample_a": sample} | ({"sample_b": sample} if kind != "Grade5" else {}),
        }

    top = "VCC2020-listeningtest-info/VCC202-listeningtest-scores/VCC2020-scores-"
    team = clips["team14_intra"][1]
    files = {}
    for group, mos in (("English", 4), ("Japanese", 2)):
        scores = [score(clip, mos) for _, clip in (*clips.values(), native)]
        scores += [score(team, mos + 1, "l2"), score(team, 1, "l3", state="Invalid")]
        scores += [score(team, 1, kind="Grade4")]
        files[f"{top}{group}Listeners.json"] = json.dumps({"ok": True, "result": {"scores": scores}}).encode()
    zipped(folder / "VCC2020-listeningtest-info.zip", files)
    for archive in ("SOU", "TAR", *(f"T{team:02}" for team in range(1, 34))):
        inside = {
            f"{place}/{clip}.wav": tone(clip, 24000)
            for place, clip in (*clips.values(), native)
            if place.startswith(archive)
        }
        zipped(folder / f"{archive}.zip", inside or {f"{archive}/": b""})
    return {
        split: {f"{split}_{clip}": Clip(f"{split}_{system}", mos, 1) for system, (_, clip) in clips.items()}
        | {f"{split}_{native[1]}": Clip(f"{split}_ref", mos, 1)}
        | {f"{split}_{team}": Clip(f"{split}_team14_intra", mos + 0.5, 2)}
        for split, mos in (("english", 4.0), ("japanese", 2.0))
    }


def somos_full(folder: Path) -> Expected:
    """A rating that is not among the clean ones."""
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as audios:
        for name in ("a_015", "b_000", "c_999"):
            audios.writestr(f"audios/{name}.wav", tone(name, 24000))
    header, base = "systemId,utteranceId,choice,listenerId\n", "training_files/split1"
    files = {
        "audios.zip": inner.getvalue(),
        f"{base}/clean/TRAINSET": f"{header}015,a_015.wav,4,L1\n".encode(),
        f"{base}/full/TRAINSET": f"{header}015,a_015.wav,4,L1\n015,a_015.wav,1,L2\n".encode(),
        f"{base}/full/VALIDSET": f"{header}000,b_000.wav,5,L1\n".encode(),
        f"{base}/full/TESTSET": f"{header}999,c_999.wav,2,L1\n".encode(),
    }
    zipped(folder / "somos.zip", files)
    return {
        "train": {"a_015.wav": Clip("015", 2.5, 2)},
        "dev": {"b_000.wav": Clip("000", 5.0, 1)},
        "test": {"c_999.wav": Clip("999", 2.0, 1)},
    }


def amc25_track3(folder: Path) -> Expected:
    """Two systems, the name of one beginning with that of the other; a clip in its rate's test and in the mixed one."""
    prefix, rates = "audiomos-track3-", {"16k": 16000, "24k": 24000, "48k": 48000}
    clips = {rate: f"{prefix}{rate}_{s}_1089_1" for rate, s in zip(rates, ("nvSR", "nv", "nv"), strict=True)}
    last = f"{prefix}16k_nv_Seikatsu-2"
    header = "uttID,lisID,rating\n"
    files = {"sysMap.txt": "nv|sys1\nnvSR|sys2\n", "uttMap.txt": "1089_1|utt1\nSeikatsu-2|utt2\n"}
    files |= {f"train/utt_{rate}.csv": f"{header}{clip}.wav,1,4\n" for rate, clip in clips.items()}
    files["train/utt_16k.csv"] += f"{clips['16k']}.wav,2,3\n"
    files["val/utt_mix_val.csv"] = f"{header}{clips['16k']}.wav,1,2\n"
    files["test/utt_mix_test.csv"] = f"{header}{last}.wav,1,5\n"
    content = {name: text.encode() for name, text in files.items()}
    content |= {f"wav/{clip}.wav": tone(clip, rates[rate]) for rate, clip in clips.items()}
    content[f"wav/{last}.wav"] = tone(last, 16000)
    tarred(
        folder / "track3_post_eval_distro.tar.gz",
        {f"post_eval_distro/{name}": data for name, data in content.items()},
    )
    mos, system = {"16k": 3.5, "24k": 4.0, "48k": 4.0}, {"16k": "nvSR", "24k": "nv", "48k": "nv"}
    single = {
        f"single_{rate}": {
            f"single_{rate}_{clip}": Clip(
                f"single_{rate}_{rate}_{system[rate]}", mos[rate], 2 if rate == "16k" else 1
            )
        }
        for rate, clip in clips.items()
    }
    return single | {
        "mixed_dev": {f"mixed_dev_{clips['16k']}": Clip("mixed_dev_16k_nvSR", 2.0, 1)},
        "mixed_test": {f"mixed_test_{last}": Clip("mixed_test_16k_nv", 5.0, 1)},
    }


def singmos_pro(folder: Path) -> Expected:
    """A clip that is in no set, one of another rate."""
    sets = {"train": ["sys0001-utt0001"], "test1": ["sys0002-utt0002"]}
    sets |= {"test2": ["sys0003-utt0003"], "test3": ["sys0004-utt0004"]}
    clips = [clip for found in sets.values() for clip in found]
    scores = {
        clip: {
            "wav": f"wav/{clip}.wav",
            "sys_id": clip.split("-")[0],
            "score": {"mos": n + 0.5, "judges": [1, 2], "scores": [n, n + 1]},
        }
        for n, clip in enumerate(clips, start=1)
    }
    scores["sys0009-utt0009"] = scores[clips[0]]
    (folder / "info").mkdir()
    (folder / "info" / "score.json").write_text(json.dumps({"utterance": scores, "system": {}}))
    (folder / "info" / "split.json").write_text(json.dumps(sets))
    (folder / "wav").mkdir()
    for n, clip in enumerate(clips):
        (folder / "wav" / f"{clip}.wav").write_bytes(tone(clip, (16000, 24000, 44100)[n % 3]))
    return {
        name: {found[0]: Clip(found[0].split("-")[0], n + 0.5, 2)}
        for n, (name, found) in enumerate(sets.items(), start=1)
    }


def speechjudge(folder: Path) -> Expected:
    """The index starts anew in each part."""
    labels = {"train": "A", "dev": "B", "test": "Tie", "other": None}
    for split, label in labels.items():
        row = {"index": 0, "subset": "regular", "language_setting": "zh2en", "target_text": "t"}
        row |= {"audioA": flac(f"{split}A", 24000), "audioB": flac(f"{split}B", 16000)}
        row |= {"naturalness_annotation": ["A+2", "Tie (both good)"], "naturalness_label": label}
        parquet(folder / f"{split}-00000-of-00001.parquet", [row])
    return {split: {f"{split}-0{side}": Clip(None, None) for side in "AB"} for split in labels}


BUILDERS = {
    "amc25-track3": amc25_track3,
    "bc23": bc23,
    "singmos-pro": singmos_pro,
    "somos-full": somos_full,
    "speechjudge": speechjudge,
    "svcc23": svcc23,
    "urgent2026-sqa": urgent2026,
    "vcc2018": vcc2018,
    "vcc2018-ldnet": vcc2018_ldnet,
    "vcc2020": vcc2020,
    "vmc2026-track1-dev": lambda folder: vmc2026_track1(folder, "dev"),
    "vmc2026-track1-test": lambda folder: vmc2026_track1(folder, "test"),
}
