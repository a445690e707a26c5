"""VCC 2018: the Voice Conversion Challenge 2018, naturalness of all its systems."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpus import CC_BY, Archive, Corpus, Rating, Split
from sqa_data.errors import DataError
from sqa_data.tables import number, read_rows

LABELS = "vcc2018_listening_test_scores/vcc2018_evaluation_mos.txt"
AUDIO = "mnt/sysope/test_files/testVCC2"
SHARE = "https://datashare.ed.ac.uk/bitstream/handle/10283/"
USER, MOS, CLIP, FIELDS = 1, 10, 14, 16  # columns of a table without a header, and how many it has


def parse(root: Path) -> Iterator[Rating]:
    path = root / LABELS
    for line, row in read_rows(path):
        if len(row) != FIELDS:
            raise DataError(
                f"{path}:{line}: {len(row)} fields; expected {FIELDS}, listener, MOS and clip among them"
            )
        clip = row[CLIP].strip()
        yield Rating(
            "train", *clip_of(clip, path, line), row[USER].strip(), number(row[MOS], "the MOS", path, line)
        )


def clip_of(name: str, path: Path, line: int) -> tuple[str, str, str]:
    """Audio, sample_id and system_id of a clip such as N17_VCC2TF1_VCC2SM3_30004_SPO.wav: a team in one task."""
    parts = name.removesuffix(".wav").split("_")
    if len(parts) != 5 or "/" in name:
        raise DataError(f"{path}:{line}: {name!r}; expected SYSTEM_TARGET_SOURCE_SENTENCE_TASK.wav")
    return f"{AUDIO}/{'_'.join(parts)}.wav", "_".join(parts), f"{parts[0]}_{parts[-1]}"


CORPUS = Corpus(
    name="vcc2018",
    title="Voice Conversion Challenge 2018",
    splits={"train": Split(20_580, 38, note="a system is a team in one task")},
    sample_rates=(22050,),
    languages=("en",),
    licence=CC_BY,
    archives=(
        Archive(
            "vcc2018_submitted_systems_converted_speech.tar.gz",
            (SHARE + "3061/",),
            checksum="md5:75b0f937240f6850a56ec2cbad34b4ad",
        ),
        Archive(
            "vcc2018_listening_test_scores.zip",
            (SHARE + "3257/",),
            checksum="md5:aad7e0ce99279a6f16e8a0d6f963c1c9",
        ),
    ),
    links=("https://datashare.ed.ac.uk/handle/10283/3061", "https://datashare.ed.ac.uk/handle/10283/3257"),
    citation="J. Lorenzo-Trueba et al., The Voice Conversion Challenge 2018: Promoting development of parallel and "
    "nonparallel methods, Odyssey 2018",
    label_files=(LABELS,),
    parse=parse,
    layout="public loaders that read it; names of clips and systems in LDNet's lists, counted",
    assumed=True,
)
