"""Training speed against the reference's own way of computing it, in one run.

    python benchmarks/bench_train.py [--updates 2] [--threads 1] [--parts steps,cached,fine-tuning,pairs]

The rival is the reference's step as its code computes it: transformers' WavLM in fp32, all hidden states stacked,
the frozen backbone in train mode without `no_grad`, batches padded, `torch.nn.TransformerEncoder` above, AdamW. Ours
is `sqa_model.train` itself, from audio files to saved weights, timed between its updates: the network without cache
in fp32 and bf16, and with the feature cache (its first epoch fills it). Weights are random: time does not depend on
them. Times are CPU seconds of the process, its reading threads included, so that a busy machine disturbs them less;
ratios are per update over the same clips.

The part "fine-tuning" holds the ways in which the backbone itself learns against our own frozen step, in fp32: that
step is measured before and after each of them. The part "pairs" holds an update of compared pairs against one of the
same clips alone.
"""

import argparse
import itertools
import json
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import torch
from sqa_model.training.config_text import load_config
from sqa_model.training.journal import Event
from sqa_model.training.loop import train
from torch import nn

SECONDS = [5.3, 5.8, 6.3, 6.9, 7.3]  # one update: 31.6 s of audio, 36.5 s when padded (as in length buckets)
EPOCHS = 4
FINE_TUNING = {
    "LoRA of rank 8 on the last 4 of 12 layers": ["optim.unfreeze=4", "optim.lora_rank=8"],
    "LoRA of rank 8 on the last 6 layers": ["optim.unfreeze=6", "optim.lora_rank=8"],
    "LoRA of rank 8 on all layers": ["optim.unfreeze=-1", "optim.lora_rank=8"],
    "the last 4 layers": ["optim.unfreeze=4"],
    "all of the backbone": ["optim.unfreeze=-1"],
}


class Reference(nn.Module):
    """The published model as its code computes it."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import WavLMConfig, WavLMModel

        # transformers 5 drops the states of dropped layers, which crashes the reference: no layer drop
        self.wavlm = WavLMModel(WavLMConfig(layerdrop=0.0)).requires_grad_(False)
        self.weights = nn.Parameter(torch.zeros(13))
        self.projection = nn.Sequential(nn.Linear(768, 768), nn.LayerNorm(768))
        layer = nn.TransformerEncoderLayer(768, 8, 2048, 0.1, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 6, enable_nested_tensor=False)
        self.metrics = nn.Linear(768, 5)

    def forward(self, waves: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        """waves: (batch, samples), padded."""
        inside = torch.arange(waves.shape[1])[None] < lengths[:, None]
        out = self.wavlm(waves, attention_mask=inside.long(), output_hidden_states=True)
        states = torch.stack(out.hidden_states)  # (13, batch, frames, 768)
        mixed = (self.weights.softmax(0)[:, None, None, None] * states).sum(0)
        frames = self.wavlm._get_feat_extract_output_lengths(lengths)
        padding = torch.arange(mixed.shape[1])[None] >= frames[:, None]
        x = self.encoder(self.projection(mixed), src_key_padding_mask=padding)
        x = x.masked_fill(padding[..., None], 0).sum(1) / frames[:, None]
        return 1 + 4 * self.metrics(x).sigmoid()


def time_reference(paths: list[list[Path]]) -> list[float]:
    """CPU seconds of each update over the clips of `paths`, reading included; the first, a warm-up, left out."""
    torch.manual_seed(0)
    model = Reference().train()
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-5)
    times = []
    for update in [paths[0], *paths]:
        start = time.process_time()
        waves = [torch.from_numpy(soundfile.read(path, dtype="float32")[0]) for path in update]
        lengths = torch.tensor([len(wave) for wave in waves])
        pred = model(nn.utils.rnn.pad_sequence(waves, batch_first=True), lengths)
        optimizer.zero_grad()
        (pred - 3).square().mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        times.append(time.process_time() - start)
    return times[1:]


def time_ours(folder: Path, updates: int, overrides: list[str], epochs: int) -> list[list[float]]:
    """CPU seconds of each update of each epoch of `sqa_model.train`."""
    out = folder / "run"
    shutil.rmtree(out, ignore_errors=True)
    config = load_config(
        "universa-ext-5metric",
        overrides=[
            "model.pretrained=none",
            f"data.train={folder}/train.jsonl",
            f"data.dev={folder}/dev.jsonl",
            f"batch.clips={len(SECONDS)}",
            f"epochs={epochs}",
            "eval.every=1000000",
            "run.tensorboard=false",
            "run.save_minutes=1000",
            "run.device=cpu",
            *overrides,
        ],
    )
    stamps: list[float] = []

    def watch(event: Event) -> None:
        if event.kind == "update":
            stamps.append(time.process_time())

    train(config, out, watch=watch)
    spans = [b - a for a, b in zip([stamps[0], *stamps], stamps, strict=False)]
    spans[0] = (
        statistics.median(spans[1:updates]) if updates > 1 else spans[1]
    )  # the start of the run is not a step
    return [spans[e * updates : (e + 1) * updates] for e in range(epochs)]


def write_corpus(folder: Path, updates: int) -> list[list[Path]]:
    """Noise clips: `updates` times the lengths of SECONDS, and one short clip for development."""
    rng = np.random.default_rng(0)
    groups, rows = [], []
    labels = dict.fromkeys(("mos", "dnsmos_ovrl", "scoreq", "utmos", "nisqa_mos"), 3.0)
    for u in range(updates):
        group = []
        for i, seconds in enumerate(SECONDS):
            path = folder / f"{u}-{i}.wav"
            soundfile.write(path, rng.standard_normal(int(seconds * 16_000)) * 0.1, 16_000)
            rows.append(
                {"audio_path": str(path), "sample_id": path.stem, "duration": seconds, "metrics": labels}
            )
            group.append(path)
        groups.append(group)
    (folder / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    dev = folder / "dev.wav"
    soundfile.write(dev, rng.standard_normal(int(SECONDS[0] * 16_000)) * 0.1, 16_000)
    row = rows[0] | {"audio_path": str(dev), "sample_id": "dev"}
    (folder / "dev.jsonl").write_text(json.dumps(row) + "\n")
    return groups


def against_the_reference(
    folder: Path, groups: list[list[Path]], plain: list[str], cached: list[str], updates: int
) -> None:
    """Time both and print a table; `plain` and `cached`: precisions to measure without and with the cache."""
    audio = sum(SECONDS)
    reference = time_reference(groups)
    rows = []
    for precision in plain:
        (spans,) = time_ours(folder, updates, [f"precision={precision}"], 1)
        rows.append((f"ours, {precision}, no cache", statistics.median(spans)))
    for precision in cached:
        overrides = [f"precision={precision}", f"data.cache={folder}/cache"]
        first, *later = time_ours(folder, updates, overrides, EPOCHS)
        rows.append((f"ours, {precision}, cache, first epoch", statistics.median(first)))
        rows.append((f"ours, {precision}, cache, later epochs", statistics.median(itertools.chain(*later))))
    reference += time_reference(groups)  # again at the end: the machine may have changed meanwhile
    base = statistics.median(reference)
    print(f"{'variant':40}{'CPU s / update':>12}{'audio-s / CPU-s':>17}{'x reference':>14}")
    for label, seconds in [("reference step, fp32", base), *rows]:
        print(f"{label:40}{seconds:12.3f}{audio / seconds:17.1f}{base / seconds:14.2f}")
    print(f"reference between {min(reference):.2f} and {max(reference):.2f} s")
    for number in (5, 20) if cached else ():
        total = rows[-2][1] + (number - 1) * rows[-1][1]
        print(f"{number} epochs, {cached[-1]}, cache: x {number * base / total:.2f}")
    if cached:
        files = list((folder / "cache").rglob("states.f16"))
        size = sum(f.stat().st_blocks * 512 for f in files) / len(cached)
        print(f"cache: {size / 1e3 / (audio * updates + SECONDS[0]):.0f} kB per second of audio")


def against_the_frozen_step(folder: Path, updates: int) -> None:
    """Time the ways in which the backbone learns and print a table."""

    def frozen() -> float:
        return statistics.median(time_ours(folder, updates, [], 1)[0])

    print(f"{'what learns beside the head':44}{'CPU s / update':>14}{'x frozen':>12}{'frozen, CPU s':>18}")
    before = frozen()
    for label, overrides in FINE_TUNING.items():
        seconds = statistics.median(time_ours(folder, updates, overrides, 1)[0])
        after = frozen()
        base = (before + after) / 2
        print(f"{label:44}{seconds:14.2f}{seconds / base:12.2f}{before:10.2f}, {after:.2f}", flush=True)
        before = after


def pairs_against_their_clips(folder: Path, updates: int) -> None:
    """Time updates of two pairs each, and updates of their four clips alone, before and after."""
    rows = [
        json.loads(line) | {"corpus": "noise"} for line in (folder / "train.jsonl").read_text().splitlines()
    ]
    rows = [row for row in rows if not row["sample_id"].endswith("-4")]
    pairs = [
        {"a": a["sample_id"], "b": b["sample_id"], "metrics": {"cmos": 1}}
        for a, b in zip(rows[::2], rows[1::2], strict=True)
    ]
    for name, table in (("clips.jsonl", rows), ("pairs.jsonl", pairs)):
        (folder / name).write_text("".join(json.dumps(row) + "\n" for row in table))
    alone = [f"data.train={folder}/clips.jsonl", "batch.clips=4"]
    # a pair counts as one of batch.clips
    compared = [alone[0], "batch.clips=2", f"data.pairs={folder}/pairs.jsonl", "data.weights.noise=0"]
    before, seconds, after = (
        statistics.median(time_ours(folder, updates, overrides, 1)[0])
        for overrides in (alone, compared, alone)
    )
    ratio = 2 * seconds / (before + after)
    print(f"two pairs: {seconds:.2f} CPU s; their clips alone: {before:.2f}, {after:.2f}; x {ratio:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--updates", type=int, default=3, help="updates an epoch")
    parser.add_argument("--plain", default="fp32,bf16", help="precisions to measure without the cache")
    parser.add_argument("--cached", default="fp32,bf16", help="precisions to measure with the cache")
    parser.add_argument("--parts", default="steps,cached,fine-tuning,pairs")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    parts = arguments.parts.split(",")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        groups = write_corpus(folder, arguments.updates)
        audio = f"{sum(SECONDS):.1f} s of audio an update"
        print(f"torch {torch.__version__}, {arguments.threads} thread(s), {audio}", flush=True)
        if {"steps", "cached"} & set(parts):
            plain = arguments.plain.split(",") if "steps" in parts else []
            cached = arguments.cached.split(",") if "cached" in parts else []
            against_the_reference(folder, groups, plain, cached, arguments.updates)
        if "fine-tuning" in parts:
            against_the_frozen_step(folder, arguments.updates)
        if "pairs" in parts:
            pairs_against_their_clips(folder, arguments.updates)


if __name__ == "__main__":
    main()
