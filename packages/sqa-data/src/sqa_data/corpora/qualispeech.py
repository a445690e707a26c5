"""QualiSpeech: synthetic and real English speech with seven scores each; a third of the clips are BVCC's."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpus import Archive, Corpus, Licence, Opinion, Sample, Split, Unusable
from sqa_data.lines import open_lines
from sqa_data.tables import rows

SOURCE = "hf://tsinghua-ee/QualiSpeech/"
PARTS = {"train": "train", "val": "dev", "test": "test"}  # theirs -> our split
LABELS = {
    "Overall quality": "mos",
    "Naturalness": "mos_naturalness",
    "Speed": "mos_speed",
    "Background noise": "mos_noise",
    "Distortion": "mos_distortion",
    "Listening effort": "mos_effort",
    "Continuity": "mos_continuity",
}
MANUAL = """\
5,124 clips are BVCC's and no part of the download; without them the others are prepared.
  1. sqa-cli data download bvcc   and its steps, so that main/DATA/wav is whole
  2. copy from there what {home}/unpacked/train_bvcc.txt names to {home}/unpacked/wav/train,
     and so val_bvcc.txt to wav/val, test_bvcc.txt to wav/test, as merge_data.sh of the data set does"""


def parse(root: Path) -> Iterator[Opinion]:
    """One row a clip. What has no score on a scale has no label of it; clips of BVCC are read if they are there."""
    for part, split in PARTS.items():
        names = open_lines(root / f"{part}_bvcc.txt")
        of_bvcc = {line.decode("utf-8", "replace").strip() for _, line in names}
        for row in rows(root / f"{part}.csv", "id", *LABELS):
            clip = row.inside("id")
            audio = f"wav/{part}/{clip}"
            if clip in of_bvcc and not (root / audio).is_file():
                yield Unusable(f"{row.path}:{row.line}", "whose clip is BVCC's and was not copied")
                continue
            found = {label: row.number_or_none(column) for column, label in LABELS.items()}
            yield Sample(
                split=split,
                audio=audio,
                sample_id=clip.removesuffix(".wav"),
                system_id=clip.split("-")[0] if "-" in clip else None,
                metrics={label: value for label, value in found.items() if value is not None},
            )


CORPUS = Corpus(
    name="qualispeech",
    title="QualiSpeech (seven scores a clip)",
    splits={
        "train": Split(None, note="3,617 clips of BVCC"),
        "dev": Split(None, note="789 clips of BVCC"),
        "test": Split(None, note="718 clips of BVCC"),
    },
    sample_rates=(16000,),
    languages=("en",),
    licence=Licence(
        "?",
        "https://huggingface.co/datasets/tsinghua-ee/QualiSpeech",
        ask=True,
        note="its card has said MIT and CC BY-NC-SA; the clips have terms of their own",
    ),
    archives=tuple(
        Archive(name, (SOURCE,))
        for name in ("wav_part1.zip", *(f"{p}{end}" for p in PARTS for end in (".csv", "_bvcc.txt")))
    ),
    links=("https://huggingface.co/datasets/tsinghua-ee/QualiSpeech",),
    citation="S. Wang et al., QualiSpeech: A speech quality assessment dataset with natural language reasoning and "
    "descriptions, ACL 2025",
    label_files=tuple(f"{part}{end}" for part in PARTS for end in (".csv", "_bvcc.txt")),
    parse=parse,
    layout="SHEET's script, which reads the tables, and the data set's own merge_data.sh",
    contains=("bvcc", "nisqa"),
    manual=MANUAL,
)
