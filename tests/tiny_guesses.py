"""Corpora in small whose columns nobody here has seen: their files show what is guessed. See `tiny_corpora`."""

from pathlib import Path

from tiny_challenges import parquet
from tiny_corpora import Clip, Expected, tone
from tiny_published_tests import placed


def mango(folder: Path) -> Expected:
    """Two listeners, systems of one name in both languages, an utterance of one name too."""
    systems = ("FS2", "ST2", "VITS", "ANC", "REF")
    header = f"rater_id,utterance_id,{','.join(systems)}\n"
    hindi = header + "h1,female_1,60,70,65.5,0,100\nh2,female_1,70,80,66.5,20,90\n"
    files = {
        "csvs/hindi_mushra.csv": hindi.encode(),
        "csvs/tamil_mushra.csv": f"{header}t1,female_1,1,2,3,4,5\n".encode(),
    }
    for split in ("hi", "ta"):
        names = [f"1test_samples_22k/{split}/{system}/female_1.wav" for system in systems]
        files |= {name: tone(name, 22050) for name in names}
    placed(folder, files)
    means = {"hi": (65.0, 75.0, 66.0, 10.0, 95.0), "ta": (1.0, 2.0, 3.0, 4.0, 5.0)}
    return {
        split: {
            f"{split}_{system}_female_1": Clip(f"{split}_{system}", mean, 2 if split == "hi" else 1)
            for system, mean in zip(systems, found, strict=True)
        }
        for split, found in means.items()
    }


def mos260(folder: Path) -> Expected:
    """Audio as bytes alone, one of them FLAC."""
    clips = (("7", tone("m 7", 24000), 4.25, 4.5), ("8", tone("m 8", 24000, kind="FLAC"), 1.0, 5.0))
    rows: list[dict[str, object]] = [
        {"id": name, "audio": content, "quality": mos, "intelligibility": clear}
        for name, content, mos, clear in clips
    ]
    parquet(folder / "data" / "train-00000-of-00001.parquet", rows)
    return {
        "train": {
            name: Clip(None, mos, others=(("mos_intelligibility", clear),)) for name, _, mos, clear in clips
        }
    }


BUILDERS = {"mango": mango, "mos260": mos260}
