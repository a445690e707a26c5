"""TCD-VoIP: five degradations of voice calls; the labels are one sheet of a workbook."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqa_data.baseline import BaselineIds, after_dash
from sqa_data.corpus import CC_BY_NC_SA, MIRROR, Archive, Corpus, Sample, Split
from sqa_data.errors import DataError
from sqa_data.tables import read_sheet

SHEET = "Subjective Test Scores"
COLUMNS = ("Filename", "ConditionID", "sample MOS")


def parse(root: Path) -> Iterator[Sample]:
    path = next(p for p in sorted(root.glob("*.xlsx")) if not p.name.startswith(("~", ".")))
    header, body = read_sheet(path, SHEET, *COLUMNS)
    name_at, condition_at, mos_at = (header.index(c) for c in COLUMNS)
    listeners = _listener_columns([row for _, row in body], {name_at, condition_at, mos_at}, mos_at)

    where = _audio_by_name(root)
    for line, row in body:
        name, condition, mos = str(row[name_at]), row[condition_at], row[mos_at]
        try:
            degradation, number = name.split("_")[2], int(float(condition))
            value = float(mos)
        except (IndexError, ValueError, TypeError):
            raise DataError(
                f"{path}:{line}: {name!r}, condition {condition!r}, MOS {mos!r}; "
                "expected a name such as C_01_ECHO_FA.wav and two numbers"
            ) from None
        if not 1 <= value <= 5:
            raise DataError(f"{path}:{line}: sample MOS is {mos}; expected 1..5")
        yield Sample(
            split="train",
            audio=where.get(name, name),
            sample_id=name.rsplit(".", 1)[0],
            # conditions are numbered anew for each degradation
            system_id=f"{degradation}-{number:03d}",
            metrics={"mos": value},
            ratings=tuple(float(row[i]) for i in listeners if row[i] != ""),
        )


def _listener_columns(body: list[list[Any]], known: set[int], mos_at: int) -> list[int]:
    """The columns of listeners: whole numbers in 1..5 whose mean is the MOS beside them, in every row.

    Their headings differ between copies of the workbook, so the numbers must tell; if they do not, the MOS
    stands alone.
    """
    width = min((len(row) for row in body), default=0)
    columns = [
        i
        for i in range(width)
        if i not in known
        and any(row[i] != "" for row in body)
        and all(row[i] == "" or row[i] in (1, 2, 3, 4, 5) for row in body)
    ]
    for row in body:
        given = [float(row[i]) for i in columns if row[i] != ""]
        # one decimal is published
        if not given or abs(sum(given) / len(given) - float(row[mos_at] or 0)) > 0.051:
            return []
    return columns


def _audio_by_name(root: Path) -> dict[str, str]:
    """File name -> path below `root`, for all clips but the references (folders `ref`)."""
    found: dict[str, str] = {}
    for path in sorted(root.rglob("*.wav")):
        parts = path.relative_to(root).parts
        if any(part.lower() == "ref" for part in parts) or "__MACOSX" in parts or path.name.startswith("."):
            continue
        relative = "/".join(parts)
        if found.setdefault(path.name, relative) != relative:
            raise DataError(f"{root}: two clips are called {path.name}: {found[path.name]} and {relative}")
    return found


CORPUS = Corpus(
    name="tcd-voip",
    title="TCD-VoIP",
    splits={"train": Split(384, 96, 0.87, "CHOP 24, NOISE 24, ECHO 20, CLIP 14, COMPSPKR 14 conditions")},
    sample_rates=(48000,),
    languages=("en",),
    licence=CC_BY_NC_SA,
    archives=(Archive("TCD-VOIP.zip", (MIRROR,)),),
    links=(
        "https://drive.usercontent.google.com/download?id=1rHJN34vP-W8SJtjpNUnx5RIks3o5L5he&export=download",
    ),
    citation="N. Harte, E. Gillen, A. Hines, TCD-VoIP, a research database of degraded speech for assessing quality "
    "in VoIP applications, QoMEX 2015",
    label_files=("*.xlsx",),
    parse=parse,
    # degradation and talker, as UrgentMOS has it
    reference=lambda sample_id, system_id: "_".join(sample_id.split("_")[2:]),
    baseline_ids=BaselineIds(("C_01_ECHO_FA", "ECHO-001"), system=after_dash),
)
