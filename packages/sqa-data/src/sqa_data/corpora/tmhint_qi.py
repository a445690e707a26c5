"""TMHINT-QI: enhanced and noisy Mandarin, rated for quality (and intelligibility)."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.baseline import BaselineIds
from sqa_data.corpus import MIRROR, MIT, Archive, Corpus, Rating, Split
from sqa_data.tables import rows


def parse(root: Path) -> Iterator[Rating]:
    """The one label file covers both folders: a clip belongs to the split whose folder holds it."""
    clips = {split: {path.stem for path in (root / split).glob("*.wav")} for split in ("train", "test")}
    for row in rows(root / "raw_data.csv", "method", "snr", "noise", "quality_score", "file_name"):
        if not row["quality_score"].strip():  # the listener answered only the intelligibility question
            continue
        clip, value = row.inside("file_name").removesuffix(".wav"), row.number("quality_score")
        system_id = f"{row['method']}-SNR{row['snr']}-{row['noise']}"
        # a clip in neither folder counts as training and is then reported as missing
        for split in [split for split in clips if clip in clips[split]] or ["train"]:
            yield Rating(split, f"{split}/{clip}.wav", clip, system_id, None, value)


CORPUS = Corpus(
    name="tmhint-qi",
    title="TMHINT-QI",
    splits={
        "train": Split(12937, 98, 11.35),
        "test": Split(
            None, note="sources disagree: 1,978 to 2,297 samples; MOS-Bench takes 1,293 of train for dev"
        ),
    },
    sample_rates=(16000,),
    languages=("zh",),
    licence=MIT,
    archives=(
        Archive(
            "TMHINTQI.zip",
            (MIRROR,),
            checksum="sha256:cda6581c9fb0ea634b8bac4c6503e772feb080629a5d95eb84f3d1888876912b",
        ),
    ),
    links=("https://drive.google.com/file/d/1TMDiz6dnS76hxyeAcCQxeSqqEOH4UDN0/view",),
    citation="Y.-W. Chen, Y. Tsao, InQSS: A speech intelligibility and quality assessment model using a multi-task "
    "learning network, Interspeech 2022",
    parse=parse,
    # FCN_babble_-2_TMHINT_b1_01_03: what follows is the sentence
    reference=lambda sample_id, system_id: sample_id.rpartition("TMHINT")[2],
    baseline_ids=BaselineIds(("FCN_babble_-2_01_01", "FCN-SNR-2-babble")),
    label_files=("raw_data.csv",),
)
