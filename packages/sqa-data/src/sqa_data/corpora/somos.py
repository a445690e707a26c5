"""SOMOS: neural text-to-speech of one voice by 200 systems, crowd-sourced."""

from collections.abc import Iterator

from sqa_data.baseline import BaselineIds
from sqa_data.corpus import CC_BY_NC_SA, MIRROR, Archive, Corpus, Rating, Split
from sqa_data.tables import Row, each_row

SETS = {"TRAINSET": "train", "VALIDSET": "dev", "TESTSET": "test"}


def files(kind: str) -> dict[str, str]:
    """The label files of the "clean" or of the "full" ratings, and the split of each."""
    return {f"training_files/split1/{kind}/{name}": split for name, split in SETS.items()}


@each_row(files("clean"), "systemId", "utteranceId", "choice", "listenerId")
def parse(row: Row, split: str) -> Iterator[Rating]:
    # the corpus's own utteranceId, suffix and all, is the id; "015" stays a string
    clip, audio = row["utteranceId"], f"audios/{row.inside('utteranceId')}"
    yield Rating(split, audio, clip, row["systemId"], row["listenerId"], row.number("choice"))


CORPUS = Corpus(
    name="somos",
    title="SOMOS (split 1, clean ratings)",
    splits={"train": Split(14100, 181, 18.32), "dev": Split(3000), "test": Split(3000)},
    sample_rates=(24000,),
    languages=("en",),
    licence=CC_BY_NC_SA,
    archives=(
        Archive(
            "somos.zip",
            ("https://zenodo.org/records/7378801/files/", MIRROR),
            size=3_971_669_902,
            checksum="md5:bdfde4cae256549dfab05d713136e4af",
            nested=("audios.zip",),
        ),
    ),
    links=("https://zenodo.org/records/7378801",),
    citation="G. Maniati et al., SOMOS: The Samsung Open MOS dataset for the evaluation of neural text-to-speech "
    "synthesis, Interspeech 2022",
    parse=parse,
    # the sentence: novel_2007_0098_015.wav
    reference=lambda sample_id, system_id: sample_id.rpartition("_")[0],
    baseline_ids=BaselineIds(("novel_2007_0098_015.wav", "015")),
)
