"""EARS-EMO-OpenACE: emotional speech coded at 16 kbit/s by four codecs, MUSHRA; only means are published."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpus import MIT, Corpus, HubDataset, Sample, Split
from sqa_data.errors import DataError
from sqa_data.tables import rows

COLUMNS = (
    *("codec", "reference_file", "distorted_file", "reference_mushra_rating", "distorted_mushra_rating"),
    *("visqol_score?", "polqa_score?"),
)
UNREAD = ("dataset?", "speaker?", "emotion?", "mushra_rating_difference?", "*_scale?")
MEASURES = {"visqol_score": "visqol", "polqa_score": "polqa"}


def parse(root: Path) -> Iterator[Sample]:
    """Coded clips with what ViSQOL and POLQA say of them, and the hidden references, each named by several rows."""
    references: dict[str, float] = {}
    for row in rows(root / "metadata.csv", *COLUMNS):
        metrics = {"mos": row.number("distorted_mushra_rating", 0, 100)}
        found = {name: row.number_or_none(column) for column, name in MEASURES.items()}
        metrics |= {name: value for name, value in found.items() if value is not None}
        yield _sample(row.inside("distorted_file"), row["codec"], metrics)
        audio, rating = row.inside("reference_file"), row.number("reference_mushra_rating", 0, 100)
        if references.setdefault(audio, rating) != rating:
            raise DataError(
                f"{row.path}:{row.line}: {audio} is rated {rating:g}, but {references[audio]:g} further up"
            )
    for audio, rating in references.items():
        yield _sample(audio, "reference", {"mos": rating})


def _sample(audio: str, system_id: str, metrics: dict[str, float]) -> Sample:
    return Sample("test", audio, audio.removesuffix(".wav").replace("/", "_"), system_id, metrics)


CORPUS = Corpus(
    name="ears-emo-openace",
    title="EARS-EMO-OpenACE (coded emotional speech)",
    splits={"test": Split(None, None, note="144 coded clips, 36 references; 72 anchors")},
    clips=(180, 252),  # it is not said whether the table has the anchors
    sample_rates=(48000,),
    languages=("en",),
    method="MUSHRA",
    scales={"mos": (0, 100), "visqol": (1, 5), "polqa": (1, 5)},
    licence=MIT,
    archives=(),
    hub=HubDataset("mcernak/EARS-EMO-OpenACE", files=("metadata.csv", "p*.wav")),
    links=("https://huggingface.co/datasets/mcernak/EARS-EMO-OpenACE",),
    citation="M. Cernak et al., EARS-EMO-OpenACE: A full-band coded emotional speech quality dataset (its paper: ?)",
    label_files=("metadata.csv",),
    parse=parse,
    layout="its card and the first rows of its table",
    assumed=True,
    columns={"metadata.csv": (*COLUMNS, *UNREAD)},
    use=("evaluation",),
)
