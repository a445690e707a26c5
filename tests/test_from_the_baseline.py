"""docs/from-the-baseline.md is true: its commands run in order, on small corpora, with small networks.

And what it promises of training: our updates are those of the baseline.
"""

import json
import shlex
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner
from documents import ROOT, Block, read_blocks
from published import METRICS, SMALL, Reference, publish, reference
from sqa_cli.main import main
from sqa_data import get_corpus, read_manifest
from sqa_data.labels import range_of
from sqa_model import load, train
from sqa_model.training.config_text import load_config
from tiny_corpora import build
from tiny_training import TINY_WAVLM

PAGE = ROOT / "docs" / "from-the-baseline.md"
BLOCKS = [block for block in read_blocks(PAGE) if Path(__file__).name in block.note]
CORPORA = ("tencent", "somos", "tmhint-qi", "chime-7-udase-eval", "tcd-voip", "ttsds2", "pstn", "nisqa")
SMALL_RUN = [
    "epochs=1",
    "run.threads=1",
    "run.device=cpu",
    "run.tensorboard=false",
    "optim.warmup=1",
    "eval.every=2",
]
SMALL_NETWORK = ["model.pretrained=none", *(item for item in TINY_WAVLM if item.startswith("model."))]
# heads whose labels no listener gives: the 22 of the widest preset, of which manifests have all
OTHERS = [label for label in load_config("universa-ext-22metric").model.heads if label != "mos"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a user of the baseline has: archives, its labels, an experiment folder, a score file."""
    folder = tmp_path_factory.mktemp("user")
    expected = {}
    for name in (*CORPORA, "urgent2024-sqa", "urgent2025-sqa"):
        expected[name] = build(name, folder / "raw" / name)
    del expected["nisqa"]  # names of its small clips have blanks, which no scp can hold
    with zipfile.ZipFile(folder / "data.zip", "w") as archive:
        for name, splits in expected.items():
            for split, clips in splits.items():
                ids = [get_corpus(name).baseline_ids.of_sample(clip) for clip in clips]  # type: ignore[union-attr]
                for label in OTHERS:
                    low, high = np.clip(range_of(label), -3, 5)
                    values = np.linspace(low, high, len(ids) + 2)[1:-1]
                    lines = [f"{clip} {value:.4f}\n" for clip, value in zip(ids, values, strict=True)]
                    archive.writestr(f"data/{name}/{split}/{label}.scp", "".join(lines))
    publish(reference(layers=1, **SMALL), folder / "exp" / "universa-ext")
    (folder / "exp" / "universa-ext" / "model.pt").rename(folder / "exp" / "universa-ext" / "model_last.pt")
    (folder / "configs").mkdir()
    text = (folder / "exp" / "universa-ext" / "config.yaml").read_text()
    (folder / "configs" / "universa-ext.yaml").write_text(text)
    old = folder / "old" / "somos" / "results.jsonl"
    old.parent.mkdir(parents=True)
    # system 999 of its test set; one more clip makes no second system
    row = {"sample_id": "novel_4_999.wav", "system_id": "999", "metrics": {"mos": 2.5}}
    old.write_text(json.dumps(row) + "\n")
    (folder / "examples").symlink_to(ROOT / "examples")
    return folder


def arguments(command: str) -> list[str]:
    """A command without its program, with the files that its patterns match; training is made small."""
    words = shlex.split(command, comments=True)
    assert words[:3] == ["uv", "run", "sqa-cli"], command
    given: list[str] = []
    for word, raw in zip(words[3:], shlex.split(command, comments=True, posix=False)[3:], strict=True):
        quoted = raw[0] in "'\""
        matches = sorted(map(str, Path().glob(word))) if "*" in word and not quoted else []
        given += matches or [word]
    if given[0] == "train":
        small = SMALL_RUN + ([] if "--init" in given else SMALL_NETWORK)
        given += [part for item in small for part in ("--set", item)]
    return given


def test_the_page_is_found() -> None:
    text = "\n".join(block.body for block in BLOCKS)
    for word in (
        "--ids baseline",
        "5metric",
        "22metric",
        "mos-only",
        "model_last.pt",
        "--config",
        "--init",
        "submit",
    ):
        assert word in text


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: str(block).partition(": ")[2])
def test_block_runs(folder: Path, block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    torch.set_num_threads(1)
    if block.language == "python":
        exec(compile(block.body, str(PAGE), "exec"), {})
        return
    for command in filter(None, block.commands()):
        result = CliRunner().invoke(main, arguments(command), catch_exceptions=False)
        assert result.exit_code == 0, f"{command}\n{result.output}"


def test_what_they_left(folder: Path) -> None:
    """After all blocks: ids of the baseline, labels of all heads, models with the heads of their presets."""
    rows = read_manifest(folder / "data" / "tcd-voip" / "train" / "data.jsonl")
    assert {row.system_id for row in rows} == {"1", "2"}
    for name in ("pstn", "tcd-voip", "urgent2024-sqa"):
        for row in read_manifest(folder / "data" / name / "train" / "data.jsonl"):
            assert row.metrics.keys() >= set(OTHERS)
    for run, heads in (("five", 5), ("twenty-two", 22), ("mos", 1), ("mine", None)):
        model = load(folder / "runs" / run / "best")
        assert heads is None or len(model.config.heads) == heads
    assert load(folder / "models" / "five").config.names == tuple(METRICS)
    with zipfile.ZipFile(folder / "team.zip") as archive:
        assert len(archive.read("mos.scp").splitlines()) == 1
    log = (folder / "runs" / "mos" / "log.txt").read_text()
    assert "clips have no label for mos and are left out" in log


# --- updates -----------------------------------------------------------------------------------------------------


def write_clips(folder: Path, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A manifest of equally long clips, a third of whose labels are missing; samples, and labels with NaN."""
    rng = np.random.default_rng(1)
    rows, labels = [], np.full((count, len(METRICS)), np.nan, np.float32)
    for i in range(count):
        wave = rng.normal(0, 0.1, 3200).astype(np.float32)
        soundfile.write(folder / f"{i}.wav", wave, 16_000, subtype="FLOAT")
        for k, (low, high) in enumerate(METRICS.values()):
            if rng.random() > 0.33:
                labels[i, k] = round(rng.uniform(max(low, -4), min(high, 5)), 3)
        metrics = {n: float(v) for n, v in zip(METRICS, labels[i], strict=True) if not np.isnan(v)}
        rows.append({"audio_path": f"{i}.wav", "sample_id": f"{i:02}", "duration": 0.2, "metrics": metrics})
    (folder / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    waves = [soundfile.read(folder / f"{i}.wav", dtype="float32")[0] for i in range(count)]
    return torch.tensor(np.stack(waves)), torch.tensor(labels)


def their_updates(model: Reference, waves: torch.Tensor, labels: torch.Tensor, updates: int) -> None:
    """The published recipe as a plain loop: what learns, the loss, AdamW, the schedule, the norm of the gradient."""
    model.feature_extractor.model.requires_grad_(False)
    learned = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learned, lr=3e-5)
    # transformers' linear schedule, to which it is held in test_optimizer.py
    rise_and_fall = lambda done: done / 6 if done < 6 else (updates - done) / (updates - 6)  # noqa: E731
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, rise_and_fall)
    for _ in range(updates):
        predicted = model(waves, [waves.shape[1]] * len(waves))
        known = labels.isfinite()
        errors = [
            (p[k] - y[k]).square().mean() for p, y, k in zip(predicted.T, labels.T, known.T, strict=True)
        ]
        torch.stack(errors).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        optimizer.zero_grad()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")
def test_twenty_updates_are_the_baselines(tmp_path: Path) -> None:
    """With its schedule and without dropout, on one batch, the same every time, so that no order of batches counts."""
    torch.set_num_threads(1)
    theirs = reference(layers=1, **SMALL)
    publish(theirs, tmp_path / "exp")
    waves, labels = write_clips(tmp_path, 8)
    overrides = [f"data.train={tmp_path}/data.jsonl", f"data.dev={tmp_path}/data.jsonl", "data.leaks=allow"]
    overrides += [
        f"model.init={tmp_path}/exp",
        "model.dropout=0",
        "optim.lr=3e-5",
        "optim.warmup=6",
        "epochs=20",
    ]
    overrides += [
        "optim.schedule=reference",
        "optim.unfreeze=0",
        "precision=fp32",
        "data.out_of_range=error",
        *SMALL_RUN[1:4],
    ]
    config = load_config("fine-tune", overrides=overrides)
    result = train(config, tmp_path / "run")
    assert result.updates == 20
    with torch.inference_mode():
        before = theirs(waves, [waves.shape[1]] * len(waves))
    their_updates(theirs, waves, labels, 20)
    ours = load(tmp_path / "run" / "last")
    with torch.inference_mode():
        after = theirs(waves, [waves.shape[1]] * len(waves))
        difference = ours(list(waves)) - after
    assert (after - before).abs().max() > 1
    assert difference.abs().max() < 5e-5, difference.abs().max()
