"""SVCC 2023: singing voice conversion, track 2 of the VoiceMOS Challenge 2023, with the votes of each listener."""

from collections.abc import Iterator

from sqa_data.corpora._by_hand import SHEET, steps
from sqa_data.corpus import Archive, Corpus, Licence, Rating, Split
from sqa_data.errors import DataError
from sqa_data.tables import Row, each_row

ARCHIVE, VOTES = "VoiceMOS_2023_track2.zip", "listener_wise_answer.csv"
SHA256 = "sha256:47a0b738db155abea2a62d10a7feb025f2d8c86893fb4b599e2acff8bc3898d7"
DRIVE = "https://drive.google.com/uc?id=188FJiCBT0RSI6-q4ICJPfGqmR22_9Kd2"


@each_row({VOTES: "test"}, "sample_id", "listener_name", "score")
def parse(row: Row, split: str) -> Iterator[Rating]:
    """A vote. Listeners voted twice on 37 clips: both count, as in the published means."""
    clip = row.inside("sample_id")  # VoiceMOS2023Track2-B01-SF1-CDF1-30001
    parts = clip.split("-")
    if len(parts) != 5:
        raise DataError(f"{row.path}:{row.line}: {clip!r}; expected TRACK-SYSTEM-SOURCE-TARGET-NUMBER")
    audio = f"VoiceMOS_2023_track2/{clip}.wav"
    yield Rating(split, audio, clip, parts[1], row["listener_name"], row.number("score"))


CORPUS = Corpus(
    name="svcc23",
    title="Singing Voice Conversion Challenge 2023",
    splits={"test": Split(4040, 28, note="25,440 votes of 400 listeners")},
    sample_rates=(24000,),
    languages=("en",),
    licence=Licence("?", "https://github.com/unilight/sheet", ask=True, note="none is stated for the audio"),
    archives=(
        Archive(ARCHIVE, ()),
        Archive(VOTES, (f"{SHEET}svcc23/answers/{VOTES}",), size=1_348_350, checksum=SHA256),
    ),
    links=(DRIVE,),
    citation="W.-C. Huang et al., The Singing Voice Conversion Challenge 2023, ASRU 2023",
    parse=parse,
    layout="its label file, counted; the folder of the audio in SHEET's script",
    use=("evaluation",),
    manual=steps(DRIVE, ARCHIVE),
)
