"""Blizzard Challenge 2023: French text-to-speech of two voices, track 1 of the VoiceMOS Challenge 2023."""

import re
from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpora._by_hand import SHEET, steps
from sqa_data.corpora._voicemos import BLIZZARD
from sqa_data.corpus import Archive, Corpus, Sample, Split
from sqa_data.errors import DataError
from sqa_data.tables import number, read_rows

ARCHIVE, LABELS = "VoiceMOS2023Track1.zip", "answer.csv"
SHA256 = "sha256:9f997939650ce327d1188bbeb5456e3e55eec73503fc39d636b0f3d461881446"
DROPBOX = "https://www.dropbox.com/s/c83l67bkeh9p49k/VoiceMOS2023Track1.zip"
CLIP = re.compile(r"VoiceMOS2023Track1-(\w+-(NEB|AD))_test_\d+")


def parse(root: Path) -> Iterator[Sample]:
    """Rows such as `VoiceMOS2023Track1-A-AD_test_0026,4.42`. Team A of voice AD is not team A of NEB: two tests."""
    path = root / LABELS
    for line, row in read_rows(path):
        found = CLIP.fullmatch(row[0])
        if found is None or len(row) != 2:
            raise DataError(
                f"{path}:{line}: {','.join(row)!r}; expected VoiceMOS2023Track1-TEAM-VOICE_test_NUMBER,mos"
            )
        yield Sample(
            split=found[2],
            audio=f"VoiceMOS2023Track1/{row[0]}.wav",
            sample_id=row[0],
            system_id=found[1],
            metrics={"mos": number(row[1], "the MOS", path, line)},
        )


CORPUS = Corpus(
    name="bc23",
    title="Blizzard Challenge 2023 (VoiceMOS Challenge 2023, track 1)",
    splits={
        "NEB": Split(882, 21, note="the hub task; another test than AD: never one ranking"),
        "AD": Split(578, 17, note="the spoke task"),
    },
    sample_rates=(22050,),
    languages=("fr",),
    licence=BLIZZARD,
    archives=(
        Archive(ARCHIVE, ()),
        Archive(LABELS, (f"{SHEET}bc23/answers/{LABELS}",), size=67_611, checksum=SHA256),
    ),
    links=(DROPBOX,),
    citation="O. Perrotin et al., The Blizzard Challenge 2023, 18th Blizzard Challenge Workshop 2023; E. Cooper et "
    "al., The VoiceMOS Challenge 2023, ASRU 2023",
    label_files=(LABELS,),
    parse=parse,
    layout="its label file, counted; the folder of the audio in SHEET's script",
    use=("evaluation",),
    manual=steps(DROPBOX, ARCHIVE),
)
