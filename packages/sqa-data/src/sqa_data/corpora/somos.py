"""SOMOS: neural text-to-speech of one voice by 200 systems, crowd-sourced."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpora._licences import CC_BY_NC_SA, MIRROR
from sqa_data.corpus import Archive, Corpus, Rating, Split
from sqa_data.tables import below, number, read_rows

FOLDER = "training_files/split1/clean"
SETS = {"train": "TRAINSET", "dev": "VALIDSET", "test": "TESTSET"}


def parse(root: Path) -> Iterator[Rating]:
    for split, name in SETS.items():
        path = root / FOLDER / name
        rows = read_rows(path, ["systemId", "utteranceId", "choice", "listenerId"])
        for line, (system_id, clip, choice, listener_id) in rows:
            value = number(choice, "choice", path, line)
            # the corpus's own utteranceId, suffix and all, is the id; "015" stays a string
            yield Rating(split, f"audios/{below(clip, path, line)}", clip, system_id, listener_id, value)


CORPUS = Corpus(
    name="somos",
    title="SOMOS (split 1, clean ratings)",
    splits={
        "train": Split(14100, 181, 18.32),
        "dev": Split(3000),
        "test": Split(3000),
    },
    sample_rates=(24000,),
    licence=CC_BY_NC_SA,
    archives=(
        Archive(
            "somos.zip",
            ("https://zenodo.org/records/7378801/files/somos.zip", f"{MIRROR}somos.zip"),
            size=3_971_669_902,
            checksum="md5:bdfde4cae256549dfab05d713136e4af",
            nested=("audios.zip",),
        ),
    ),
    links=("https://zenodo.org/records/7378801",),
    citation="G. Maniati et al., SOMOS: The Samsung Open MOS dataset for the evaluation of neural "
    "text-to-speech "
    "synthesis, Interspeech 2022",
    label_files=tuple(f"{FOLDER}/{name}" for name in SETS.values()),
    parse=parse,
)
