"""More corpora in small: the listening tests of challenges. See `tiny_corpora`."""

from pathlib import Path

from tiny_corpora import Clip, Expected, tone, zipped


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


BUILDERS = {
    "bc23": bc23,
    "svcc23": svcc23,
    "urgent2026-sqa": urgent2026,
    "vmc2026-track1-dev": lambda folder: vmc2026_track1(folder, "dev"),
    "vmc2026-track1-test": lambda folder: vmc2026_track1(folder, "test"),
}
