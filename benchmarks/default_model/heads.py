"""The side heads beside the metrics that they learned, on new talkers: DNSMOS, PESQ, ESTOI."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sqa_data.annotate.workers import load
from sqa_data.labellers import ClipError, Signals, adapter_of

from default_model.agreement import lcc
from default_model.context import Context, spread, waves_of
from default_model.table import Line, judged

GOALS = {"dnsmos_ovrl": 0.92, "dnsmos_sig": 0.92, "dnsmos_bak": 0.92, "pesq": 0.88, "estoi": 0.93}
MOST = 60  # clips


def measure(context: Context) -> Iterator[Line]:
    """LCC of each side head that the model has, on degraded clips with a reference."""
    names = [name for name in GOALS if name in context.predictor.names]
    if not names:
        yield Line("side heads", "the model has none")
        return
    folder = "broad" if context.rows("broad") else "neural"
    rows = spread(
        [row for row in context.rows(folder) if "reference_path" in row.extra], min(MOST, context.cap)
    )
    ours = context.scores(waves_of(rows))
    labellers = {adapter_of(name).name: load(adapter_of(name), "cpu", False) for name in names}
    truth = {name: np.full(len(rows), np.nan) for name in names}
    for i, row in enumerate(rows):
        clip = Signals(Path(row.audio_path), context.clips / folder / row.extra["reference_path"])
        for score in labellers.values():
            try:
                values = score(clip)
            except ClipError:
                continue
            for name in names:
                truth[name][i] = values.get(name, truth[name][i])
    for name in names:
        has = np.isfinite(truth[name])
        yield judged(
            f"side head {name}, {folder}",
            "LCC {lcc:.3f} ({clips:.0f} clips)",
            f"≥ {GOALS[name]:g}",
            lambda lcc, goal=GOALS[name], **_: lcc >= goal,
            lcc=lcc(ours[name][has], truth[name][has]),
            clips=has.sum(),
        )
