"""What version 0.1.0 left on a disk is read and gone on with (`make_0_1_0.py` wrote `from_0_1_0`)."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from sqa_cli.main import main

FROM = Path(__file__).parent / "from_0_1_0"


@pytest.fixture
def left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what was left, as the working directory."""
    folder = tmp_path / "left"
    shutil.copytree(FROM, folder)
    monkeypatch.chdir(folder)
    return folder


def rows(path: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def run(*arguments: str) -> None:
    result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output


@pytest.mark.usefixtures("left")
def test_results_go_on() -> None:
    """The rows that were there stay to the letter, the torn one and the missing ones are scored."""
    kept = rows("whole.jsonl")[:4]
    options = ["--model", "whole/best", "--dtype", "float32", "--device", "cpu", "--out", "half.jsonl"]
    run("predict", "data.jsonl", *options, "--resume")
    found, expected = rows("half.jsonl"), rows("whole.jsonl")
    assert found[:4] == kept
    assert [row["sample_id"] for row in found] == [row["sample_id"] for row in expected]
    for row, other in zip(found, expected, strict=True):
        assert row["model"] == other["model"]
        assert row["metrics"] == pytest.approx(other["metrics"], abs=1e-4)


def test_a_run_goes_on(left: Path) -> None:
    """Three updates more end where the run without a stop ended (to what another processor may round)."""
    from sqa_model import train
    from sqa_model.training.config import TrainConfig
    from sqa_model.training.config_text import parse

    config = parse(TrainConfig, json.loads(Path("stopped/config.json").read_text()))
    seen: list[int] = []
    assert train(config, left / "stopped", watch=lambda at: seen.append(at.update)).finished
    # the start, three updates with an evaluation each, and the end
    assert seen == [3, 4, 4, 5, 5, 6, 6, 6]
    assert [row["update"] for row in rows("stopped/metrics.jsonl")] == [
        row["update"] for row in rows("whole/metrics.jsonl")
    ]
    ours, theirs = (load_file(f"{name}/last/model.safetensors") for name in ("stopped", "whole"))
    assert ours.keys() == theirs.keys()
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=0, atol=1e-3)


def test_a_label_log_goes_on(left: Path) -> None:
    """Of eight clips four are in the log, by another rule for channels: they stay there, and are computed again."""
    expected = {row["sample_id"]: row["metrics"] for row in rows("labelled.jsonl")}
    (left / "labelled.jsonl").unlink()
    before = (left / "labelled.jsonl.log").read_text()
    options = ["--reference", "clean", "--relative", "-o", "labelled.jsonl"]
    run("data", "annotate", "data.jsonl", "-m", "lsd", *options)
    assert (left / "labelled.jsonl.log").read_text().startswith(before)
    assert len(rows("labelled.jsonl.log")) == 4 + 8
    run("data", "annotate", "data.jsonl", "-m", "lsd", "--overwrite", *options)
    assert len(rows("labelled.jsonl.log")) == 4 + 8
    for row in rows("labelled.jsonl"):
        assert row["metrics"] == pytest.approx(expected[str(row["sample_id"])], rel=1e-6)
        assert (row["note"], row["votes"]) == ("kept", 4)
