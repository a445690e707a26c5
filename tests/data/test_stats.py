"""Statistics equal those of pandas."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sqa_data import DataError, Utterance, write_manifest
from sqa_data.stats import statistics


def test_equals_pandas(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    utterances = [
        Utterance(
            f"/{i}.wav",
            str(i),
            float(rng.uniform(1, 20)),
            {"mos": float(rng.uniform(1, 5))} | ({"utmos": 2.0} if i % 3 else {}),
            f"s{i % 7}" if i % 2 else None,
            "one" if i < 60 else "two",
            "train",
            16000 if i % 5 else 48000,
            int(rng.integers(1, 9)) if i % 4 else None,
        )
        for i in range(100)
    ]
    path = tmp_path / "m.jsonl"
    write_manifest(path, utterances)
    table = pd.DataFrame([json.loads(line) for line in path.read_text().splitlines()])
    table["mos"] = [m["mos"] for m in table.metrics]
    found = {s.corpus: s.as_dict() for s in statistics([path])}
    assert list(found) == ["one", "two"]
    for name, rows in table.groupby("corpus"):
        ours = found[str(name)]
        assert ours["samples"] == len(rows)
        assert ours["systems"] == rows.system_id.nunique()
        assert ours["hours"] == pytest.approx(rows.duration.sum() / 3600)
        assert ours["labels"] == {"mos": len(rows), "utmos": sum("utmos" in m for m in rows.metrics)}
        assert ours["sample_rates"] == {str(k): v for k, v in rows.sample_rate.value_counts().items()}
        for ours_of, column in (
            ("mos", rows.mos),
            ("votes", rows.votes.dropna()),
            ("duration_s", rows.duration),
        ):
            for moment in ("mean", "std", "min", "median", "max"):
                assert ours[ours_of][moment] == pytest.approx(getattr(column, moment)())
        assert sum(ours["mos"]["counts"]) == len(rows) == sum(ours["duration_s"]["counts"])
        cuts = pd.cut(rows.mos, ours["mos"]["edges"], right=False).value_counts(sort=False)
        assert ours["mos"]["counts"] == cuts.tolist()


def test_nothing_known(tmp_path: Path) -> None:
    write_manifest(tmp_path / "m.jsonl", [Utterance("/a.wav", "a", 1.0, {})])
    (stats,) = (s.as_dict() for s in statistics([tmp_path / "m.jsonl"]))
    assert (stats["corpus"], stats["systems"], stats["mos"]["mean"], stats["votes"]["max"]) == (None,) * 4
    json.dumps(stats, allow_nan=False)


def test_opinions_on_two_scales_are_not_pooled(tmp_path: Path) -> None:
    """One corpus and split has one scale; a clip without an opinion has none, and two corpora may have two."""
    path = tmp_path / "m.jsonl"
    wide: dict[str, tuple[float, float]] = {"mos": (0, 100)}
    clips = [
        Utterance("/a.wav", "a", 1, {}, None, "one"),
        Utterance("/b.wav", "b", 1, {"mos": 0}, None, "one", scales=wide),
        Utterance("/c.wav", "c", 1, {"mos": 100}, None, "one", scales=wide),
        Utterance("/d.wav", "d", 1, {"mos": 5}, None, "two"),
    ]
    write_manifest(path, clips)
    one, two = (s.as_dict()["mos"] for s in statistics([path]))
    assert (one["mean"], one["edges"][0], one["edges"][-1]) == (50, 0, 100)
    assert one["counts"] == [1, *[0] * 14, 1]
    assert (two["mean"], two["edges"][0], two["edges"][-1]) == (5, 1, 5)
    write_manifest(path, [*clips, Utterance("/e.wav", "e", 1, {"mos": 3}, None, "one")])
    said = r"mos of 'e' is on a scale of 1 to 5, those before it in one are on 0 to 100; .*--rescale mos"
    with pytest.raises(DataError, match=said):
        statistics([path])
