"""Tencent: simulated online conferencing in Chinese (ConferencingSpeech 2022)."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.baseline import BaselineIds
from sqa_data.corpus import APACHE, MIRROR, Archive, Corpus, Sample, Split
from sqa_data.tables import Row, each_row

FILES = {"withoutReverberationTrainDevMOS.csv": "train", "withReverberationTrainDevMOS.csv": "train"}


@each_row(FILES, "deg_wav", "mos")
def parse(row: Row, split: str) -> Iterator[Sample]:
    clip = row.inside("deg_wav")
    sample_id = clip.removesuffix(".wav").replace("/", "_")
    yield Sample(split, _audio(row.path.parent, clip), sample_id, None, {"mos": row.number("mos")})


def _audio(root: Path, clip: str) -> str:
    """In some copies the label file says `xMOS/0001.wav` and the folder is `x/`, in others the reverse."""
    folder, _, name = clip.partition("/")
    other = folder.removesuffix("MOS") if folder.endswith("MOS") else f"{folder}MOS"
    return clip if (root / folder).is_dir() or not (root / other).is_dir() else f"{other}/{name}"


CORPUS = Corpus(
    name="tencent",
    title="Tencent Corpus (ConferencingSpeech 2022)",
    splits={"train": Split(11563, None, 23.51, "8,366 without + 3,197 with reverberation")},
    sample_rates=(16000,),
    languages=("zh",),
    licence=APACHE,
    archives=(Archive("TencentCorpus.zip", (MIRROR,)),),
    # 14,000 clips with the unpublished test; on Dropbox as TencentCorups.zip
    links=("https://share.weiyun.com/B4IS0l3z",),
    citation="G. Yi et al., ConferencingSpeech 2022 challenge: Non-intrusive objective speech quality assessment "
    "challenge for online conferencing applications, Interspeech 2022",
    layout="its label files, counted",
    parse=parse,
    baseline_ids=BaselineIds(("withoutReverberationTrainDev_00001", None)),
)
