"""Corpora on one scale before they are pooled: listening tests differ in level and range, whatever was heard.

Listeners spread their ratings over the scale they are given, so that the same clip gets another MOS in another test
(the range-equalising bias: Zielinski, Rumsey and Bech 2008, "On some biases encountered in modern audio quality
listening tests"; ITU-T P.1401 (01/2020), clause 7.3.1). Without clips that the tests share, that cannot be told from
true differences between their clips. `align` takes both out: what is left is agreement inside the corpora.
"""

import math
from dataclasses import replace
from typing import Any, Literal

from sqa_metrics.errors import MetricsError
from sqa_metrics.rows.records import Paired

Alignment = Literal["none", "offset", "affine"]
PARAMETERS = {"offset": "its mean", "affine": "its mean and slope"}


def align(paired: Paired, how: Alignment) -> Paired:
    """`paired` with every corpus moved, on both sides, to the mean score of the whole reference.

    "offset" takes the mean of each corpus out of its reference and its predictions; "affine" also multiplies the
    predictions of each corpus by the slope of the least-squares line to its reference (0 where that would fall).
    "none" changes nothing. MetricsError for another word.

    >>> from sqa_metrics import Scores, join
    >>> ref = Scores("ref", "mos", ["a", "b", "c", "d"], None, ["x", "x", "y", "y"], [1.0, 2.0, 4.0, 5.0], [1, 2, 3, 4])
    >>> pred = Scores("p", "mos", ["a", "b", "c", "d"], None, ["x", "x", "y", "y"], [2.0, 3.0, 2.0, 3.0], [1, 2, 3, 4])
    >>> moved = align(join(ref, {"p": pred}), "offset")
    >>> moved.ref, moved.preds[0]
    ([2.5, 3.5, 2.5, 3.5], [2.5, 3.5, 2.5, 3.5])
    """
    if how == "none":
        return paired
    if how not in PARAMETERS:
        raise MetricsError(f"alignment {how!r}: expected none, {', '.join(PARAMETERS)}")
    as_list = isinstance(paired.ref, list)
    ref, codes = _floats(paired.ref), list(map(int, paired.corpus))
    target = math.fsum(ref) / len(ref)
    rows: list[list[int]] = [[] for _ in paired.corpora]
    for row, code in enumerate(codes):
        rows[code].append(row)
    preds = [_moved(ref, _floats(pred), rows, target, how == "affine") for pred in paired.preds]
    columns: list[Any] = [_moved(ref, ref, rows, target, False), *preds]
    if not as_list:
        import numpy as np

        columns = [np.array(column) for column in columns]
    note = (
        f"each corpus has lost {PARAMETERS[how]} (--align {how}), fitted to the same data: figures tell of agreement "
        "inside corpora, and nothing of level or of differences between them"
    )
    return replace(paired, ref=columns[0], preds=columns[1:], align=how, notes=(*paired.notes, note))


def _moved(
    ref: list[float], values: list[float], rows: list[list[int]], target: float, with_slope: bool
) -> list[float]:
    result = list(values)
    for members in filter(None, rows):
        theirs, ours = (math.fsum(v[k] for k in members) / len(members) for v in (ref, values))
        slope = 1.0
        if with_slope:
            product = math.fsum((ref[k] - theirs) * (values[k] - ours) for k in members)
            square = math.fsum((values[k] - ours) ** 2 for k in members)
            slope = max(0.0, product / square) if square > 0 else 0.0
        for k in members:
            result[k] = target + slope * (values[k] - ours)
    return result


def _floats(values: Any) -> list[float]:
    return values if isinstance(values, list) else [float(v) for v in values]
