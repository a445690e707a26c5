"""VCC 2018 in the split of LDNet, which papers on listeners report on."""

from collections.abc import Iterator

from sqa_data.corpora.vcc2018 import CORPUS as VCC2018
from sqa_data.corpora.vcc2018 import clip_of
from sqa_data.corpus import MIT, Archive, Corpus, Rating, Sample, Split
from sqa_data.tables import Row, each_row

SOURCE = (
    "https://raw.githubusercontent.com/unilight/LDNet/710ed6979b96868643b4a0c916b43b64d8a95a94/data/vcc2018/"
)
FILES = {
    "vcc2018_training_data.csv": "train",
    "vcc2018_valid_data.csv": "dev",
    "vcc2018_testing_data.csv": "test",
}
SHA256 = (
    "d07d45bb2f659c78a54e0d22d11caec41da90600903d02eef607cf5ba3d51a12",
    "8dd35b21512fad51648509406cc6e8c27535c020b5377e2a5a320dc359bf7478",
    "8e22d1e62f0e3ea575d0f9adb849025bb79386a9664acf6f4857c7cb581e8ca0",
)


@each_row(FILES, "WAV_PATH", "MEAN", "MOS", "JUDGE")
def parse(row: Row, split: str) -> Iterator[Rating | Sample]:
    """A vote in the training set; in the others one vote a clip is left, beside the mean of all, which counts."""
    clip = clip_of(row["WAV_PATH"], row.path, row.line)
    if split == "train":
        yield Rating(split, *clip, row["JUDGE"], row.number("MOS"))
    else:
        yield Sample(split, *clip, {"mos": row.number("MEAN")})


CORPUS = Corpus(
    name="vcc2018-ldnet",
    title="Voice Conversion Challenge 2018, split of LDNet",
    splits={
        "train": Split(13_580, 38),
        "dev": Split(3000, 38, note="means of votes, one of which is published"),
        "test": Split(4000, 38, note="means of votes, one of which is published"),
    },
    sample_rates=VCC2018.sample_rates,
    languages=VCC2018.languages,
    licence=MIT,
    archives=tuple(
        Archive(name, (SOURCE,), checksum=f"sha256:{digest}")
        for name, digest in zip(FILES, SHA256, strict=True)
    ),
    links=("https://github.com/unilight/LDNet",),
    citation="W.-C. Huang et al., LDNet: Unified listener dependent modeling in MOS prediction for synthetic speech, "
    "ICASSP 2022",
    parse=parse,
    layout="its label files, counted",
    audio_of="vcc2018",
)
