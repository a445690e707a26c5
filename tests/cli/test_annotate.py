"""`sqa-cli data annotate` and `data degrade`: what a person types, what comes out, what the exit code says."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from click.testing import CliRunner, Result
from sqa_cli.main import main
from sqa_data import Utterance, read_manifest, write_manifest

RATE = 16000


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    rows = []
    for index in range(3):
        clean = 0.1 * rng.standard_normal(RATE)
        for name, x in (("c", clean), ("n", clean + 0.05 * rng.standard_normal(RATE))):
            sf.write(tmp_path / f"{name} {index}.wav", x, RATE)  # a space: paths are not split
        extra = {"reference_path": f"c {index}.wav"}
        rows.append(Utterance(str(tmp_path / f"n {index}.wav"), f"u{index}", 1.0, {}, extra=extra))
    write_manifest(tmp_path / "data.jsonl", rows)
    return tmp_path / "data.jsonl"


def test_labels_and_summary(corpus: Path) -> None:
    result = run("data", "annotate", corpus, "-m", "si_sdr, target=lsd")
    assert result.exit_code == 0, result.output
    assert "si_sdr               3 of 3 clips" in result.output
    assert "target               3 of 3 clips" in result.output
    rows = read_manifest(corpus.with_name("data.labelled.jsonl"))
    assert all(set(row.metrics) == {"si_sdr", "target"} for row in rows)


def test_json_summary_and_errors(corpus: Path) -> None:
    corpus.with_name("n 1.wav").write_bytes(b"not audio")
    result = run("data", "annotate", corpus, "-m", "si_sdr", "--json")
    assert result.exit_code == 0
    summary = json.loads(result.stdout)
    assert summary["labelled"] == {"si_sdr": 2}
    assert summary["clips"] == 3
    assert summary["errors"][0]["sample_id"] == "u1"


def test_nothing_came_out(corpus: Path) -> None:
    for index in range(3):
        corpus.with_name(f"n {index}.wav").write_bytes(b"not audio")
    result = run("data", "annotate", corpus, "-m", "si_sdr")
    assert result.exit_code == 1
    assert "error: u0" in result.output


def test_shards_are_gathered(corpus: Path) -> None:
    for index in range(2):
        assert (
            "run without --shard"
            in run("data", "annotate", corpus, "-m", "lsd", "--shard", f"{index}/2").output
        )
    result = run("data", "annotate", corpus, "-m", "lsd", "--json")
    assert json.loads(result.stdout)["computed"] == 0
    assert json.loads(result.stdout)["labelled"] == {"lsd": 3}


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["-m", "nope"], 1, "unknown metric 'nope'; known: distill_mos"),
        ([], 2, "give MANIFEST and --metrics, or --list"),
        (["-m", "lsd", "--shard", "2/2"], 2, "expected I/N with I from 0 to N-1"),
        (["-m", "lsd,x=lsd"], 1, "asked for twice"),
    ],
)
def test_mistakes(corpus: Path, arguments: list[str], code: int, message: str) -> None:
    result = run("data", "annotate", corpus, *arguments)
    assert result.exit_code == code
    assert message in result.output
    assert "Traceback" not in result.output


def test_list_says_what_is_missing() -> None:
    rows = json.loads(run("data", "annotate", "--list", "--json").stdout)
    by_name = {row["metric"]: row for row in rows}
    assert by_name["pesq"]["needs"] == "reference"
    assert all(bool(row["version"]) != bool(row["install"]) for row in rows)
    assert "distill_mos" in run("data", "annotate", "--list").output


def test_degrade(tmp_path: Path) -> None:
    for talker in range(5):
        (tmp_path / "speech" / f"t{talker}").mkdir(parents=True)
        tone = 0.1 * np.sin(np.arange(RATE) * 0.1 * (talker + 1))
        sf.write(tmp_path / "speech" / f"t{talker}" / "a.wav", tone, RATE)
    arguments = (
        "data",
        "degrade",
        tmp_path / "speech",
        "-o",
        tmp_path / "out",
        "--train",
        "4",
        "--dev",
        "2",
        "--test",
        "2",
    )
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    assert "train        4 clips" in result.output
    assert len(read_manifest(tmp_path / "out" / "train.jsonl")) == 4
    again = run(*arguments, "--json")
    assert set(json.loads(again.stdout)) == {"train", "dev", "test"}
    assert run(*arguments, "--seed", "2").exit_code == 1
    assert (
        run("data", "degrade", tmp_path / "speech", "-o", tmp_path / "x", "--held-out", "nope").exit_code == 1
    )
