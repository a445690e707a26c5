"""CHiME-7 UDASE: enhanced conversations, rated as ITU-T P.835 asks; the development set of the task."""

import math
from collections.abc import Iterator
from pathlib import Path

from sqa_data.baseline import BaselineIds
from sqa_data.corpus import CC_BY_SA, MIRROR, ROUNDING, Archive, Corpus, Rating, Split
from sqa_data.errors import DataError
from sqa_data.tables import Row, below, each_row

LABELS = {"OVRL": "mos", "SIG": "mos_sig", "BAK": "mos_bak"}
FILES = {"listening_test/MOS_results_listening_test.csv": "test"}
COLUMNS = ("condition", "sample", "scale", "MOS", "rating_list?", "subject?")


@each_row(FILES, *COLUMNS)
def parse(row: Row, split: str) -> Iterator[Rating]:
    """A row says what one clip was given on one scale: by all listeners together (`rating_list`), or by one."""
    label = LABELS.get(row["scale"].strip())
    if label is None:
        raise DataError(
            f"{row.path}:{row.line}: scale is {row['scale']!r}; expected one of {', '.join(LABELS)}"
        )
    mos, given = row.number("MOS"), row.numbers("rating_list")
    if given and abs(math.fsum(given) / len(given) - mos) > ROUNDING:
        raise DataError(
            f"{row.path}:{row.line}: MOS is {mos:g}, but its rating_list has the mean "
            f"{math.fsum(given) / len(given):.3f}"
        )
    for clip in _clip(row, split):
        for value in given or [mos]:
            yield Rating(*clip, row["subject"] or None, value, label)


def parse_as_baseline(root: Path) -> Iterator[Rating]:
    """The mean over the three scales as `mos`, which the development figures of the 2026 baseline are against."""
    yield from each_row(FILES, *COLUMNS)(_any_scale)(root)


def _any_scale(row: Row, split: str) -> Iterator[Rating]:
    for clip in _clip(row, split):
        yield Rating(*clip, None, row.number("MOS"))


def _clip(row: Row, split: str) -> Iterator[tuple[str, str, str, str]]:
    """Split, audio, sample_id and system_id; nothing for the listeners' anchor, which is no system."""
    system_id, sample = row["condition"], row["sample"]
    if system_id.lower() != "ref":
        audio = f"listening_test/data/{below(f'{system_id}/{sample}', row.path, row.line)}"
        yield split, audio, f"{system_id}_{sample.rsplit('.', 1)[0]}", system_id


CORPUS = Corpus(
    name="chime-7-udase-eval",
    title="CHiME-7 UDASE evaluation (listening test)",
    splits={"test": Split(640, 5, 0.84)},
    sample_rates=(16000,),
    languages=("en",),
    method="P.835",
    licence=CC_BY_SA,
    archives=(
        Archive(
            "CHiME-7-UDASE-evaluation-data.zip",
            ("https://zenodo.org/records/10418311/files/", MIRROR),
            checksum="md5:37b97f9f4ba95152725548fa2a1893ac",
        ),
    ),
    links=("https://zenodo.org/records/10418311",),
    citation="S. Leglaive et al., Objective and subjective evaluation of speech enhancement methods in the UDASE "
    "task of the 7th CHiME challenge, Computer Speech and Language 2024",
    parse=parse,
    parse_as_baseline=parse_as_baseline,
    reference=lambda sample_id, system_id: sample_id.partition("_")[2],
    baseline_ids=BaselineIds(("C1_S01_a", "C1")),
    layout="two public scripts that read the label file",
    assumed=True,
    use=("development",),
)
