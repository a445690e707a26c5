"""Run a command as a person does, inside the test's own process; a small model to run it with."""

import json
from pathlib import Path

import torch
from click.testing import CliRunner
from sqa_cli.main import main
from sqa_model import ModelConfig, MosModel, save
from sqa_model.network.comparison import ComparisonConfig
from sqa_model.network.logmel import LogMelConfig


def run(*arguments: object, code: int = 0) -> str:
    """What `sqa-cli arguments` prints on both streams; fails if the exit code is not `code`."""
    result = CliRunner().invoke(main, [str(a) for a in arguments])
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    return result.output


def rows(path: Path | str) -> list[dict]:
    """The rows of a JSON Lines file."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def small_model(folder: Path, seed: int = 0, comparison: ComparisonConfig | None = None) -> str:
    """Save a small model with random weights and the heads mos and mos_std."""
    torch.manual_seed(seed)
    heads = [("mos", 1, 5), ("mos_std", 0, None)]
    sizes = {"dim": 32, "layers": 1, "feedforward": 64}
    return str(
        save(
            MosModel(ModelConfig(LogMelConfig(dim=32, blocks=1), heads, comparison=comparison, **sizes)),
            folder,
        )
    )


def comparing_model(folder: Path) -> str:
    """The same with a comparative head."""
    return small_model(folder, comparison=ComparisonConfig(attention_heads=2))
