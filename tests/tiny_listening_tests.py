"""More corpora in small: single listening tests and the evaluation sets of challenges. See `tiny_corpora`."""

from pathlib import Path

from sqa_data.corpora.p835_reference import CLIPS
from tiny_corpora import Clip, Expected, tarred, tone, workbook, zipped


def hablamos(folder: Path) -> Expected:
    """Three rows name train/a.wav, of two voices: the length of the file says that it is A3's."""
    header = "wav_path,system_id,sample_id,speaker_id,duration_ms,score\n"
    train = (
        "train/a.wav,a,a,A3,100.0,2.0\ntrain/a.wav,a,a,A3,100.0,3.0\ntrain/a.wav,a,a,B7,250.0,5.0\n"
        "train/b.wav,b,b,B7,100.0,4.0\n"
        "train/c.wav,c,c,A3,300.0,1.0\ntrain/c.wav,c,c,B7,400.0,2.0\n"
    )
    files = {
        "train.csv": header + train,
        "val.csv": header + "val/a.wav,a,a,A3,100.0,3.0\n",
        "test.csv": header + "test/d.wav,d,d,E1,100.0,5.0\n",
    }
    clips = {
        f"{name}.wav": tone(f"h {name}", 16000)
        for name in ("train/a", "train/b", "train/c", "val/a", "test/d")
    }
    content = {name: text.encode() for name, text in files.items()} | clips
    tarred(folder / "HablaMOS.tar.gz", {f"HablaMOS/{name}": data for name, data in content.items()})
    return {
        "train": {"train_a": Clip("A3", 2.5, 2), "train_b": Clip("B7", 4.0, 1)},
        "dev": {"dev_a": Clip("A3", 3.0, 1)},
        "test": {"test_d": Clip("E1", 5.0, 1)},
    }


def tmhint_qi_s(folder: Path) -> Expected:
    """A condition with a negative SNR, one without a condition."""
    track = "VoiceMOS2023Track3-"
    clips = {
        f"{track}CMGAN_snr-2_babble_TMHINT_b2_21_02": ("CMGAN_snr-2_babble_TMHINT", 1.25),
        f"{track}clean_TMHINT_b1_01_03": ("clean_TMHINT", 5.0),
        f"{track}TMHINT_b1_01_04": ("TMHINT", 4.5),
    }
    (folder / "answer.csv").write_text("".join(f"{clip},{mos}\n" for clip, (_, mos) in clips.items()))
    names = [f"VoiceMOS_2023_track3/{clip}.wav" for clip in clips]
    zipped(folder / "VoiceMOS_2023_track3.zip", {name: tone(name, 16000) for name in names})
    found = {clip: Clip(system, mos) for clip, (system, mos) in clips.items()}
    unofficial = f"{track}TMHINT_b1_01_04"
    return {"unofficial": {unofficial: found.pop(unofficial)}, "test": found}


def vmc24_track3(folder: Path) -> Expected:
    """The published score of the second clip is not the mean of its votes."""
    (folder / "track3_answer.csv").write_text(
        "systems,SIG,BAK,OVR\np232_sys1_005,3.5,4,3.5\np232_sys2_044,4,4,4.2\n"
    )
    rows = (
        "p232_sys1_005,3,4,3,l1",
        "p232_sys1_005,4,4,4,l2",
        "p232_sys2_044,4,4,3,l1",
        "p232_sys2_044,4,4,4,l2",
    )
    votes = "\ufeffsample_id,sig,bak,ovr,listener\n" + "\n".join(rows)
    (folder / "track3_listener_wise_answer.csv").write_text(votes, encoding="utf-8")
    names = [f"DATA/wav/voicemos2024-track3-{clip}.wav" for clip in ("p232_sys1_005", "p232_sys2_044")]
    zipped(folder / "voicemos2024-track3-eval-phase.zip", {name: tone(name, 16000) for name in names})
    return {
        "test": {
            "p232_sys1_005": Clip("sys1", 3.5, 2, others=(("mos_sig", 3.5), ("mos_bak", 4.0))),
            "p232_sys2_044": Clip("sys2", 4.2, None, others=(("mos_sig", 4.0), ("mos_bak", 4.0))),
        }
    }


def vmc24_zoomed(folder: Path) -> Expected:
    """Over the audio of BVCC."""
    (folder / "VMC2024_MOS").write_text(
        "sys1/sys1-uttaa.wav 3.375000 0.886734 (1:0,2:2,3:2,4:3,5:1,total: 8)\n"
        "sys2/sys2-uttac.wav 1.500000 0.5 (1:1,2:1,3:0,4:0,5:0,total: 2)\n"
    )
    return {"test": {"sys1-uttaa": Clip("sys1", 3.375, 8), "sys2-uttac": Clip("sys2", 1.5, 2)}}


def p835_reference(folder: Path) -> Expected:
    """Two tests with clips and conditions of the same names."""
    header = ["file_url", "short_file_name", "condition_num", "n votes", "MOS_BAK", "std_bak", "95%CI_bak"]
    header += ["MOS_SIG", "std_sig", "95%CI_sig", "MOS_OVRL", "std_ovrl", "95%CI_ovrl"]
    full = ["https://x/c1_f1.wav", "c1_f1.wav", 1.0, 14.0, 4.5, 0.5, 0.1, 4.0, 0.5, 0.1, 3.5, 0.5, 0.1]
    wide = ["https://x/c1_f1.wav", "c1_f1.wav", 1.0, 6.0, 3.0, 0.5, 0.1, 2.0, 0.5, 0.1, 2.5, 0.0, 0.0]
    sheets = {"Fullband-results per file": [header, full], "16KHzWB-results per file": [header, wide]}
    (folder / "CSP835_Ref_Conditions.xlsx").write_bytes(workbook(sheets))
    for place, rate in (("degraded_fullband_48KHz", 48000), ("degraded_WB_16KHz", 16000)):
        (folder / place).mkdir()
        for clip in CLIPS:
            (folder / place / clip).write_bytes(tone(f"{place} {clip}", rate))
    return {
        "fullband": {
            "fullband_c1_f1": Clip("fullband_c1", 3.5, 14, others=(("mos_sig", 4.0), ("mos_bak", 4.5)))
        },
        "wideband": {
            "wideband_c1_f1": Clip("wideband_c1", 2.5, 6, others=(("mos_sig", 2.0), ("mos_bak", 3.0)))
        },
    }


BUILDERS = {
    "hablamos": hablamos,
    "p835-reference": p835_reference,
    "tmhint-qi-s": tmhint_qi_s,
    "vmc24-track3": vmc24_track3,
    "vmc24-zoomed": vmc24_zoomed,
}
