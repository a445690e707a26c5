"""The README's training commands, word for word, on corpora prepared from small archives, with networks of toy size."""

import json
import os
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from documents import ROOT, read_blocks
from safetensors.torch import load_file
from sqa_cli.main import main
from sqa_data import read_manifest, write_manifest
from sqa_data.prepare import prepare
from tiny_corpora import build
from tiny_training import TINY, TINY_WAVLM

SMALL = [
    "epochs=1",
    "run.threads=1",
    "run.device=cpu",
    "run.tensorboard=false",
    "optim.warmup=1",
    "eval.every=2",
]
# preset -> what makes its network small; everything else is the README's and the preset's
SIZES = {
    "mini": [item for item in TINY if item.startswith("model.") and "dropout" not in item],
    "universa-ext-5metric": [
        "model.pretrained=none",
        *(item for item in TINY_WAVLM if item.startswith("model.")),
    ],
}


def commands() -> list[list[str]]:
    """The training commands of the README, as lists of words."""
    blocks = [block for block in read_blocks(ROOT / "README.md") if block.language == "sh"]
    lines = [line for block in blocks for line in block.commands()]
    return [words for words in (shlex.split(line, comments=True) for line in lines) if "train" in words]


def arguments(command: list[str], *more: str) -> list[str]:
    """What follows `train` in a command, with the overrides that make it small."""
    given = command[command.index("train") + 1 :]
    # what goes on from a model has its size
    sizes = SIZES[given[given.index("--preset") + 1]] if "--preset" in given else []
    small = [*SMALL, *sizes, *more]
    return [*given, *(part for item in small for part in ("--set", item))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory whose `data` is as `sqa-cli data prepare` leaves it."""
    folder = tmp_path_factory.mktemp("training")
    for name in ("tencent", "nisqa", "somos", "urgent2024-sqa", "chime-7-udase-eval"):
        build(name, folder / "raw" / name)
        prepare(name, folder / "raw", folder / "data")
    (folder / "mine.jsonl").write_bytes((folder / "data" / "tencent" / "train" / "data.jsonl").read_bytes())
    # the published corpus has the labels of all 22 metrics, the small one two of them
    manifest = folder / "data" / "urgent2024-sqa" / "train" / "data.jsonl"
    scores = dict.fromkeys(("dnsmos_ovrl", "scoreq", "utmos", "nisqa_mos"), 3.0)
    rows = [replace(row, metrics={**row.metrics, **scores}) for row in read_manifest(manifest)]
    write_manifest(manifest, rows)
    return folder


def test_there_are_commands_for_a_processor_a_cache_and_several_gpus() -> None:
    text = " ".join(word for command in commands() for word in command)
    for word in ("--preset mini", "data.cache=", "torchrun", "--dev data/chime-7-udase-eval/test/data.jsonl"):
        assert word in text


@pytest.mark.parametrize("command", [c for c in commands() if "torchrun" not in c], ids=" ".join)
def test_the_command_trains(folder: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]) -> None:
    """Among them the development set that has no label but mos, with heads for four more (C2)."""
    monkeypatch.chdir(folder)
    result = CliRunner().invoke(main, ["train", *arguments(command)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "best checkpoint" in result.output
    run = Path(command[command.index("--out") + 1])
    assert load_file(run / "best" / "model.safetensors")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    labelled = {head for row in rows for by_head in row.get("dev", {}).values() for head in by_head}
    assert labelled == {"mos"}
    again = CliRunner().invoke(main, ["train", *arguments(command)], catch_exceptions=False)
    assert again.exit_code == 0  # "the same command goes on": here there is nothing left to do
    predicted = ["predict", "data/chime-7-udase-eval/test/data.jsonl", "--model", str(run / "best")]
    assert CliRunner().invoke(main, predicted, catch_exceptions=False).exit_code == 0


@pytest.mark.slow
@pytest.mark.parametrize("command", [c for c in commands() if "torchrun" in c], ids=" ".join)
def test_the_command_trains_with_two_processes(folder: Path, command: list[str]) -> None:
    """With two where the README has a process for each of four GPUs."""
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "sqa_cli"]
    done = subprocess.run(
        [sys.executable, *launcher, "train", *arguments(command)],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best checkpoint") == 1
