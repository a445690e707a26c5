"""NISQA: simulated and live telephony in five databases, with four dimensions beside the quality."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from sqa_data.baseline import BaselineIds, after_dash
from sqa_data.corpus import Archive, Corpus, Licence, Sample, Split
from sqa_data.tables import Row, each_row, rows

SPLITS = {
    "NISQA_TRAIN_SIM": "train",
    "NISQA_TRAIN_LIVE": "train",
    "NISQA_VAL_SIM": "dev",
    "NISQA_VAL_LIVE": "dev",
    "NISQA_TEST_FOR": "FOR",
    "NISQA_TEST_P501": "P501",
    "NISQA_TEST_LIVETALK": "LIVETALK",
}
FILES = {f"{database}/{database}_file.csv": split for database, split in SPLITS.items()}
DIMENSIONS = ("noi", "col", "dis", "loud")
COLUMNS = ("db", "con", "filename_deg", "votes?", "mos", "mos_std?", *(f"{name}?" for name in DIMENSIONS))


@each_row(FILES, *COLUMNS)
def parse(row: Row, split: str) -> Iterator[Sample]:
    database, clip = row.path.parent.name, row.inside("filename_deg")
    metrics = {"mos": row.number("mos")}
    metrics |= {f"mos_{name}": v for name in DIMENSIONS if (v := row.number_or_none(name)) is not None}
    yield Sample(
        split=split,
        audio=f"{database}/deg/{clip}",
        sample_id=clip.rsplit(".", 1)[0],
        # conditions are numbered anew in each database; some versions of the file write condition 1 as 1.0
        system_id=f"{database}-{row['con'].removesuffix('.0').strip()}",
        metrics=metrics,
        votes=row.votes("votes"),
        mos_std=row.number_or_none("mos_std", 0, 4),
    )


def _baseline_system(root: Path) -> Callable[[str], str]:
    """The baseline reads the conditions of a split as one column: where a single one is written 1.0, all are."""
    floats = {split for name, split in FILES.items() for row in rows(root / name, "con") if "." in row["con"]}

    def system(ours: str) -> str:
        database, _, condition = ours.rpartition("-")
        return f"{condition}.0" if SPLITS.get(database) in floats else condition

    return system


CORPUS = Corpus(
    name="nisqa",
    title="NISQA Corpus",
    splits={
        "train": Split(11020, None, 27.21, "SIM 10,000 + LIVE 1,020"),
        "dev": Split(2700, note="SIM 2,500 + LIVE 200"),
        "FOR": Split(240),
        "P501": Split(240),
        "LIVETALK": Split(232),
    },
    sample_rates=(48000,),
    licence=Licence(
        "mixed",
        "https://github.com/gabrielmittag/NISQA/wiki/NISQA-Corpus",
        ask=True,
        note="each source of speech and noise has its own terms; some forbid commercial use",
    ),
    archives=(
        Archive(
            "NISQA_Corpus.zip",
            (
                "https://zenodo.org/records/4728081/files/",
                "https://depositonce.tu-berlin.de/bitstream/11303/13012.5/9/",
            ),
            size=15_945_499_507,
        ),
    ),
    links=("https://zenodo.org/records/4728081", "https://github.com/gabrielmittag/NISQA/wiki/NISQA-Corpus"),
    citation="G. Mittag et al., NISQA: A deep CNN-self-attention model for multidimensional speech quality "
    "prediction with crowdsourced datasets, Interspeech 2021",
    parse=parse,
    # c00001_for_cnv_m_0103_01 and book_00000_chp_0009_reader_06709_17_seg_live_phone_1
    reference=lambda sample_id, system_id: re.sub(r"^c\d+_|_live_[a-z]+_\d+$", "", sample_id),
    baseline_ids=BaselineIds(
        ("c00001_for_cnv_m_0103_01", "NISQA_TEST_FOR-1"), system=after_dash, system_in=_baseline_system
    ),
)
