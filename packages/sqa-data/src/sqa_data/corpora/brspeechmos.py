"""BRSpeechMOS: Brazilian Portuguese text-to-speech, means of two votes a clip."""

from collections.abc import Iterator

from sqa_data.corpora._by_hand import steps
from sqa_data.corpus import Archive, Corpus, Licence, Sample, Split
from sqa_data.tables import Row, each_row

ARCHIVE = "BRSPEECH_MOS_DATASET_v2.tar.bz"
PAGE = "https://drive.google.com/uc?id=1_nSqIzFzvDdmIaJB6uxjhJ20pnZJA7ru"


@each_row({"train.csv": "train", "val.csv": "dev", "test.csv": "test"}, "filepath", "mos", "condition", "db")
def parse(row: Row, split: str) -> Iterator[Sample]:
    audio = row.inside("filepath")
    yield Sample(
        split=split,
        audio=audio,
        sample_id=audio.removeprefix("data/").removesuffix(".wav").replace("/", "_"),
        # db names the synthesizer; of natural speech `condition` says what was done to it
        system_id=row["condition"] if row["db"] == "ground_truth" else row["db"],
        metrics={"mos": row.number("mos")},
    )


CORPUS = Corpus(
    name="brspeechmos",
    title="BRSpeechMOS (Brazilian Portuguese text-to-speech)",
    splits={
        "train": Split(None),
        "dev": Split(None),
        "test": Split(243, 6),
    },
    clips=(2428,),
    sample_rates=(),
    languages=("pt",),
    licence=Licence("?", PAGE, ask=True, note="none is stated"),
    archives=(Archive(ARCHIVE, ()),),
    links=(PAGE,),
    citation="BRSpeechMOS, a data set of naturalness ratings in Brazilian Portuguese (its paper: ?)",
    parse=parse,
    layout="SHEET's scripts, which unpack and read it",
    assumed=True,
    manual=steps(PAGE, ARCHIVE),
)
