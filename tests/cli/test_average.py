"""`sqa-cli average`: models named one by one, and those that a run kept."""

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result
from sqa_cli.main import main
from sqa_model import MosModel, load, save
from sqa_model.network.config import ModelConfig
from sqa_model.network.logmel import LogMelConfig
from sqa_model.training.config import TrainConfig
from sqa_model.training.config_text import to_json


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["average", *map(str, arguments)])


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with four kept checkpoints, of which 20 and 30 are the best."""
    folder = tmp_path / "run"
    for update in (10, 20, 30, 100):
        torch.manual_seed(update)
        sizes = {"dim": 16, "layers": 0, "attention_heads": 2, "feedforward": 16}
        save(MosModel(ModelConfig(LogMelConfig(dim=16, blocks=1), **sizes)), folder / "kept" / str(update))  # type: ignore[arg-type]
    (folder / "config.json").write_text(to_json(TrainConfig()))
    srcc = {10: 0.1, 20: 0.9, 30: 0.8, 100: None}
    rows = [
        {"update": u, "dev": {"a": {"mos": {"system_srcc": s, "utterance_srcc": 0.5}}}}
        for u, s in srcc.items()
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"upd')
    return folder


def parts(folder: Path) -> list[str]:
    return [Path(part["name"]).name for part in load(folder).config.extra["average_of"]]


def test_named_models_with_weights(run: Path, tmp_path: Path) -> None:
    result = call(run / "kept/10", run / "kept/20", "--weight", 1, "--weight", 3, "--out", tmp_path / "mean")
    assert result.exit_code == 0, result.output
    assert "0.250  " in result.stdout
    assert f"model {load(tmp_path / 'mean').fingerprint()}" in result.stdout
    one, other, mean = (load(f).state_dict() for f in (run / "kept/10", run / "kept/20", tmp_path / "mean"))
    for name, value in mean.items():
        torch.testing.assert_close(value, 0.25 * one[name] + 0.75 * other[name])


@pytest.mark.parametrize(
    ("option", "count", "expected"),
    [("--last", 2, ["30", "100"]), ("--best", 2, ["30", "20"]), ("--best", 4, ["100", "10", "30", "20"])],
)
def test_kept_ones_of_a_run(run: Path, tmp_path: Path, option: str, count: int, expected: list[str]) -> None:
    result = call(run, option, count, "--out", tmp_path / "mean")
    assert result.exit_code == 0, result.output
    assert parts(tmp_path / "mean") == expected


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{run}", "--last", "5"], 1, "found 4 kept checkpoints, asked for 5; train with run.keep=5"),
        (["nowhere", "--best", "2"], 1, "nowhere: found 0 kept checkpoints, asked for 2"),
        (["{run}", "{run}", "--last", "2"], 2, "--last and --best take one run folder"),
        (["{run}/kept/10", "--weight", "1", "--weight", "2"], 2, "--weight is given 2 times for 1 models"),
        (["{run}/kept/11"], 1, "no such file or folder"),
        ([], 2, "Missing argument"),
    ],
)
def test_what_cannot_be(run: Path, tmp_path: Path, arguments: list[str], code: int, message: str) -> None:
    result = call(*(a.format(run=run) for a in arguments), "--out", tmp_path / "mean")
    assert (result.exit_code, "Traceback" in result.output) == (code, False)
    assert message in result.output
    assert not (tmp_path / "mean" / "config.json").exists()
