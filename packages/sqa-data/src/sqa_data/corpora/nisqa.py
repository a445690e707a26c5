"""NISQA: simulated and live telephony in five databases, with four dimensions beside the quality."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpus import Archive, Corpus, Licence, Sample, Split
from sqa_data.tables import below, number, read_rows

DATABASES = {
    "train": ("NISQA_TRAIN_SIM", "NISQA_TRAIN_LIVE"),
    "dev": ("NISQA_VAL_SIM", "NISQA_VAL_LIVE"),
    "FOR": ("NISQA_TEST_FOR",),
    "P501": ("NISQA_TEST_P501",),
    "LIVETALK": ("NISQA_TEST_LIVETALK",),
}
DIMENSIONS = ("noi", "col", "dis", "loud")
COLUMNS = ["db", "con", "filename_deg", "votes?", "mos", "mos_std?", *(f"{d}?" for d in DIMENSIONS)]


def parse(root: Path) -> Iterator[Sample]:
    for split, databases in DATABASES.items():
        for database in databases:
            path = root / database / f"{database}_file.csv"
            for line, row in read_rows(path, COLUMNS):
                _, condition, clip, votes, mos, std, *dimensions = row
                clip = below(clip, path, line)
                metrics = {"mos": number(mos, "mos", path, line)}
                for name, value in zip(DIMENSIONS, dimensions, strict=True):
                    if value and value.lower() != "nan":
                        metrics[f"mos_{name}"] = number(value, name, path, line)
                yield Sample(
                    split=split,
                    audio=f"{database}/deg/{clip}",
                    sample_id=clip.rsplit(".", 1)[0],
                    # conditions are numbered anew in each database
                    system_id=f"{database}-{_plain(condition)}",
                    metrics=metrics,
                    votes=int(number(votes, "votes", path, line, 1, 1e6)) if votes else None,
                    mos_std=number(std, "mos_std", path, line, 0, 4)
                    if std and std.lower() != "nan"
                    else None,
                )


def _plain(condition: str) -> str:
    """Some versions of the file write condition 1 as 1.0."""
    return condition.removesuffix(".0").strip()


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
                "https://zenodo.org/records/4728081/files/NISQA_Corpus.zip",
                "https://depositonce.tu-berlin.de/bitstream/11303/13012.5/9/NISQA_Corpus.zip",
            ),
            size=15_945_499_507,
        ),
    ),
    links=("https://zenodo.org/records/4728081", "https://github.com/gabrielmittag/NISQA/wiki/NISQA-Corpus"),
    citation="G. Mittag et al., NISQA: A deep CNN-self-attention model for multidimensional speech quality "
    "prediction with crowdsourced datasets, Interspeech 2021",
    label_files=tuple(f"{db}/{db}_file.csv" for group in DATABASES.values() for db in group),
    parse=parse,
)
