"""VoiceMOS 2026, track 1, as one takes part: from the hub's parquet files to the file of answers."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
from commands import rows, run
from loopback import serve
from tiny_training import TINY

TRAIN, TEST = "urgent2026-sqa", "vmc2026-track1-dev"
FILE = "data/{}/train-00000-of-00001.parquet"


def noisy(noise: float, seed: int) -> dict[str, object]:
    """A tone in noise, as a cell of audio."""
    rng = np.random.default_rng(seed)
    wave = 0.2 * np.sin(np.arange(9_600) * 0.2) + 0.2 * noise * rng.standard_normal(9_600)
    content = io.BytesIO()
    soundfile.write(content, wave, 16_000, format="FLAC")
    return {"bytes": content.getvalue(), "path": f"{seed}.flac"}


def publish(name: str, count: int, *, labels: bool) -> dict[str, bytes]:
    """So many clips of two systems and pairs of them, with what listeners said or without."""
    rng = np.random.default_rng(count)
    alone: list[dict[str, object]] = []
    compared: list[dict[str, object]] = []
    for i in range(count):
        noises = rng.uniform(0, 1, 2).tolist()
        base = {"language": "eng"} if labels else {}
        said = {"mos": 5 - 4 * noises[0], "system_id": f"s{i % 2}"} if labels else {}
        alone.append({"sample_id": f"{name}-acr_{i}", **base, **said, "audio": noisy(noises[0], i)})
        sides = {f"audio_{side}": noisy(noises[k], 1_000 + 2 * i + k) for k, side in enumerate("ab")}
        said = {"cmos": 3 * (noises[1] - noises[0])} if labels else {}
        compared.append({"sample_id": f"{name}-ccr_{i}", **base, **sides, **said})
    return {FILE.format(kind): parquet(table) for kind, table in (("acr", alone), ("ccr", compared))}


def parquet(table: list[dict[str, object]]) -> bytes:
    content = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(table), content)
    return content.getvalue()


def test_from_the_hub_to_the_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with serve() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        for name, count, labels in ((TRAIN, 16, True), (TEST, 5, False)):
            hub.repos[f"urgent-challenge/{name}"] = publish(name, count, labels=labels)
            run("data", "download", name, "--raw", "raw", "--licence-ok", name)
            run("data", "prepare", name, "--raw", "raw", "--out", "data")

    settings = [
        part
        for item in [*TINY, "run.save_minutes=60", "run.threads=1", "data.hold_out=0.2"]
        for part in ("--set", item)
    ]
    learned = ["--data", f"data/{TRAIN}/acr/data.jsonl", "--pairs", f"data/{TRAIN}/ccr/pairs.jsonl"]
    run(
        "train",
        "--preset",
        "mini",
        *learned,
        *settings,
        "--set",
        "eval.metric=utterance_srcc",
        "--out",
        "run",
    )

    pairs = f"data/{TEST}/ccr/pairs.jsonl"
    run("predict", f"data/{TEST}/acr/data.jsonl", "--model", "run/best", "--out", "acr.jsonl")
    run("predict", "--pairs", pairs, "--model", "run/best", "--out", "ccr.jsonl")
    asked = ["--challenge", "voicemos2026", "--expected", f"data/{TEST}/acr/data.jsonl", "--pairs", pairs]
    run("submit", "acr.jsonl", "ccr.jsonl", *asked, "--out", "predictions.csv")

    answers = list(csv.reader(io.StringIO(Path("predictions.csv").read_text())))
    assert answers[0] == ["sample_id", "pred_score"]
    assert [name for name, _ in answers[1:]] == [
        f"{TEST}-{kind}_{i}" for kind in ("acr", "ccr") for i in range(5)
    ]
    said = [*(row["metrics"]["mos"] for row in rows("acr.jsonl"))]
    said += [row["metrics"]["cmos"] for row in rows("ccr.jsonl")]
    assert [float(score) for _, score in answers[1:]] == pytest.approx(said, abs=6e-5)
    known = [json.loads(line) for line in Path(f"data/{TRAIN}/ccr/pairs.jsonl").read_text().splitlines()]
    assert len(known) == 16
