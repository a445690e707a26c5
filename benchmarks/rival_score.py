"""The usual way to score two JSON Lines files, as papers' repositories do it: json, pandas, SciPy."""

import json
import sys
from pathlib import Path

import pandas as pd
from scipy import stats


def load(path: str) -> pd.DataFrame:
    with Path(path).open() as file:
        rows = [json.loads(text) for text in file]
    return pd.DataFrame(
        [{"sample_id": r["sample_id"], "system_id": r["system_id"], "mos": r["metrics"]["mos"]} for r in rows]
    )


def score(ref: str, pred: str) -> list[list[float]]:
    """MSE, LCC, SRCC, KTAU at the utterance and the system level."""
    both = load(ref).merge(load(pred), on=["system_id", "sample_id"], suffixes=("_ref", "_pred"))
    means = both.groupby("system_id")[["mos_ref", "mos_pred"]].mean()
    return [
        [
            float(((d.mos_ref - d.mos_pred) ** 2).mean()),
            float(stats.pearsonr(d.mos_ref, d.mos_pred)[0]),
            float(stats.spearmanr(d.mos_ref, d.mos_pred)[0]),
            float(stats.kendalltau(d.mos_ref, d.mos_pred)[0]),
        ]
        for d in (both, means)
    ]


if __name__ == "__main__":
    print(score(*sys.argv[1:]))
