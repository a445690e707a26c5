"""HablaMOS: Spanish text-to-speech, 50 voices, rated as ITU-T P.807 asks."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from sqa_data.audio import look
from sqa_data.corpus import Archive, Corpus, Licence, Opinion, Rating, Split, Unusable
from sqa_data.errors import DataError
from sqa_data.tables import Row, rows

FILES = {"train.csv": "train", "val.csv": "dev", "test.csv": "test"}
COLUMNS = ("wav_path", "system_id", "sample_id", "speaker_id", "duration_ms", "score")
TOLERANCE_MS = 1.0


def parse(root: Path) -> Iterator[Opinion]:
    """Rows of clips. Some files are named by rows of several voices: the length of the file says whose it is."""
    for name, split in FILES.items():
        clips: defaultdict[str, list[Row]] = defaultdict(list)
        for row in rows(root / name, *COLUMNS):
            clips[row.inside("wav_path")].append(row)
        for audio, found in clips.items():
            kept = (
                found
                if len({row["speaker_id"] for row in found}) == 1
                else _of_this_file(root / audio, found)
            )
            for row in found:
                if row in kept:
                    # the voice is the system: the column system_id repeats the sample_id
                    sample_id = f"{split}_{row['sample_id']}"
                    yield Rating(split, audio, sample_id, row["speaker_id"], None, row.number("score"))
                else:
                    yield Unusable(
                        f"{row.path}:{row.line}", "whose file name belongs to a clip of another voice too"
                    )


def _of_this_file(path: Path, found: list[Row]) -> list[Row]:
    """Those rows whose length is the file's, if they are of one voice."""
    try:
        length_ms = 1000 * look(path).duration_s
    except DataError:
        return found[:1]  # `prepare` lists it as missing
    kept = [row for row in found if abs(row.number("duration_ms", 0, 1e9) - length_ms) < TOLERANCE_MS]
    return kept if len({row["speaker_id"] for row in kept}) == 1 else []


CORPUS = Corpus(
    name="hablamos",
    title="HablaMOS (Spanish text-to-speech)",
    splits={
        "train": Split(None, None, 3.8, "3,136 rows of 2,555 files"),
        "dev": Split(None),
        "test": Split(None),
    },
    sample_rates=(16000,),
    languages=("es",),
    licence=Licence(
        "?", "https://zenodo.org/records/17024887", ask=True, note="none is stated in public texts"
    ),
    archives=(Archive("HablaMOS.tar.gz", ("https://zenodo.org/records/17024887/files/",)),),
    links=("https://zenodo.org/records/17024887", "https://arxiv.org/abs/2507.01805"),
    citation="A. Sosa Welford, L. Pepino, A dataset for automatic assessment of TTS quality in Spanish, Interspeech "
    "2025",
    label_files=tuple(FILES),
    parse=parse,
    layout="its label files, counted; the folder of the audio in SHEET's script",
)
