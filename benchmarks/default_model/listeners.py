"""Agreement with human P.835 ratings, with intervals and the paired test. Not to be looked at while a model is made."""

import csv
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sqa_data import Utterance, write_manifest
from sqa_data.annotate.workers import load
from sqa_data.audio import look
from sqa_data.labellers import Signals, adapter_of
from sqa_metrics import compare, pair, with_uncertainty
from sqa_model import Predictor

from default_model.table import Line


def measure(predictor: Predictor, folder: Path, old: Path | None) -> Iterator[Line]:
    """LCC, SRCC and MSE of clips and conditions; differences from the teacher, DNSMOS and the old weights."""
    with (folder / "labels.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    paths = [str(folder / row["path"]) for row in table]
    teacher, dnsmos = (load(adapter_of(name), "cpu", False) for name in ("distill_mos", "dnsmos_ovrl"))
    predicted = {
        "model": [row["mos"] for row in predictor(paths)],
        "distill_mos": [teacher(Signals(Path(p)))["distill_mos"] for p in paths],
        "dnsmos_ovrl": [dnsmos(Signals(Path(p)))["dnsmos_ovrl"] for p in paths],
    }
    if old:
        predicted["old weights"] = [row["mos"] for row in Predictor(old, device="cpu")(paths)]
    truth = [float(row["MOS_OVRL"]) for row in table]
    conditions = [row["condition_num"] for row in table]
    with tempfile.TemporaryDirectory() as name:
        for which, values in [("ref", truth), *predicted.items()]:
            _write(Path(name) / f"{which}.jsonl", paths, conditions, values)
        paired = pair(f"{name}/ref.jsonl", {which: f"{name}/{which}.jsonl" for which in predicted})
        for report in with_uncertainty(paired):
            intervals = report.intervals or {}
            for level, figures in (("utterance", report.utterance), ("system", report.system or {})):
                parts = [
                    f"{m.upper()} {figures[m]:.3f} [{intervals[level][m].text()}]"
                    for m in ("lcc", "srcc", "mse")
                ]
                numbers = {m: float(figures[m]) for m in ("lcc", "srcc", "mse")}
                yield Line(f"listeners: {report.name}, {level}", ", ".join(parts), numbers=numbers)
        for found in compare(paired):
            if found.metric == "lcc" and "model" in (found.a, found.b):
                against_old = "old weights" in (found.a, found.b)
                sign = 1 if found.a == "model" else -1
                yield Line(
                    f"listeners: {found.a} − {found.b}, {found.level} LCC",
                    f"{found.difference:+.3f} [{found.interval.text()}], p = {found.p:.3f} (Holm {found.p_holm:.3f})",
                    "not significantly worse" if against_old else "",
                    (found.p >= 0.05 or sign * found.difference > 0) if against_old else None,
                )


def _write(path: Path, paths: list[str], conditions: list[str], values: list[float]) -> None:
    rows = [
        Utterance(clip, Path(clip).stem, look(clip).duration_s, {"mos": value}, system_id=condition)
        for clip, condition, value in zip(paths, conditions, values, strict=True)
    ]
    write_manifest(path, rows)
