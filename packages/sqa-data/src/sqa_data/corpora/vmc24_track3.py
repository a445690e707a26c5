"""VoiceMOS Challenge 2024, track 3: enhanced VoiceBank-DEMAND, rated as ITU-T P.835 asks."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpora._by_hand import SHEET, steps
from sqa_data.corpus import Archive, Corpus, Licence, Rating, Sample, Split
from sqa_data.tables import Row, rows

ARCHIVE = "voicemos2024-track3-eval-phase.zip"
ANSWERS, VOTES = "track3_answer.csv", "track3_listener_wise_answer.csv"
LABELS = {"OVR": "mos", "SIG": "mos_sig", "BAK": "mos_bak"}


def parse(root: Path) -> Iterator[Sample | Rating]:
    """The published scores, and the votes, whose mean is another for 125 clips: then the published ones stay."""
    for row in rows(root / ANSWERS, "systems", *LABELS):
        metrics = {label: row.number(column) for column, label in LABELS.items()}
        yield Sample(*_clip(row, "systems"), metrics)
    for row in rows(root / VOTES, "sample_id", "listener", *LABELS):
        for column, label in LABELS.items():
            yield Rating(*_clip(row, "sample_id"), row["listener"], row.number(column), label)


def _clip(row: Row, column: str) -> tuple[str, str, str, str]:
    """Split, audio, sample_id and system_id of a clip such as p232_sys1_005."""
    clip = row.inside(column)
    return "test", f"DATA/wav/voicemos2024-track3-{clip}.wav", clip, clip.split("_")[1] if "_" in clip else ""


CORPUS = Corpus(
    name="vmc24-track3",
    title="VoiceMOS Challenge 2024, track 3",
    splits={"test": Split(280, 7)},
    sample_rates=(16000,),
    languages=("en",),
    method="P.835",
    licence=Licence("?", "https://github.com/unilight/sheet", ask=True, note="none is stated for the audio"),
    archives=tuple(
        Archive(name, (f"{SHEET}vmc24_track3/answers/{name}",) if name != ARCHIVE else ())
        for name in (ARCHIVE, ANSWERS, VOTES)
    ),
    links=("https://drive.google.com/uc?id=10ZPEccntb_KthiPYQhgCBjvyytkckAXt",),
    citation="W.-C. Huang et al., The VoiceMOS Challenge 2024: Beyond speech quality prediction, SLT 2024",
    label_files=(ANSWERS, VOTES),
    parse=parse,
    layout="its label files, counted; the folder of the audio in SHEET's script",
    use=("evaluation",),
    manual=steps("https://drive.google.com/uc?id=10ZPEccntb_KthiPYQhgCBjvyytkckAXt", ARCHIVE),
)
