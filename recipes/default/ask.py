"""Ask the teacher, Distill-MOS, what it thinks of every clip, and of every frame of it.

    python recipes/default/ask.py CLIPS_FOLDER STATES_FOLDER [SHARE]

CLIPS_FOLDER: folders of `data degrade`; training and development splits are asked about. SHARE: such as 1/2, for one
of two processes. What was asked is not asked again.

The teacher looks at 7.68 s at once, and at silence after a clip that is shorter: its score then is noisy and too low
(pieces of 2 s of 60 clips against the whole, one-off: -.50 with a deviation of .73), and moves when the clip begins
5 ms later. A clip repeated until the window is full is judged nearly as the whole (-.13, .54). Both are asked, the
second 5 ms late; `views.label` weighs them.
"""

import json
import os
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sqa_data import Utterance, read_manifest
from sqa_model.network.ends import without_silent_ends
from sqa_model.training.source import read_audio
from torch import Tensor, nn
from views import WINDOW

CUT = 3  # the teacher's layers that the model's encoder stands for
SHARD = 250  # clips in a file of states
HOP = 320  # samples of one of its frames
AROUND = 16 * HOP  # that its convolutions see beyond a clip, generously
LATE = 80  # samples


def main(clips: Path, states: Path, share: str) -> None:
    """Ask about this process' share of the shards of all manifests."""
    number, of = map(int, share.split("/"))
    manifests = [path for split in ("dev", "train") for path in sorted(clips.glob(f"*/{split}.jsonl"))]
    if not manifests:
        sys.exit(f"{clips}: no manifest in its folders; make some by sqa-cli data degrade")
    shards = [(path, first) for path in manifests for first in range(0, len(read_manifest(path)), SHARD)]
    teacher = Teacher()
    began = time.monotonic()
    for done, (path, first) in enumerate(shards[number - 1 :: of], 1):
        rows = read_manifest(path)[first : first + SHARD]
        ask(teacher, rows, states / f"{path.parent.name}-{path.stem}" / f"{first:06d}.json")
        print(f"{done} of {len(shards[number - 1 :: of])}: {time.monotonic() - began:.0f} s", flush=True)


def ask(teacher: "Teacher", rows: list[Utterance], name: Path) -> None:
    """Write what the teacher says of some clips, one behind the other, beside `name`, which is written last.

    `.states.npy`: (2, frames at 25 Hz, 200) after layer CUT and after the last. `.pcm.npy`: (samples,).
    """
    ids = [row.sample_id for row in rows]
    if name.exists():
        if [clip["id"] for clip in json.loads(name.read_text())] != ids:
            sys.exit(f"{name}: holds other clips; take another folder of states")
        return
    name.parent.mkdir(parents=True, exist_ok=True)
    told, states, waves = [], [], []
    for row in rows:
        wave = without_silent_ends(read_audio(row.audio_path, 16_000))[:WINDOW]
        said, scores = teacher(wave)
        ladder = row.extra.get("ladder")
        told.append({"id": row.sample_id, "samples": len(wave), "scores": scores, "ladder": ladder})
        states.append(said.half().numpy())
        waves.append((wave.clamp(-1, 1) * 32767).round().short().numpy())
    np.save(name.with_suffix(".states.npy"), np.concatenate(states, 1))
    np.save(name.with_suffix(".pcm.npy"), np.concatenate(waves))
    beside = name.with_suffix(f".{os.getpid()}.tmp")
    beside.write_text(json.dumps(told))
    beside.rename(name)


class Teacher:
    """Distill-MOS, with its layers open."""

    def __init__(self) -> None:
        from distillmos import ConvTransformerSQAModel

        self.net: nn.Module = ConvTransformerSQAModel().eval()
        self._silence = self._convolved(torch.zeros(128 * HOP))[:, 64:65]  # (1024, 1), far from the ends

    @torch.inference_mode()
    def __call__(self, wave: Tensor) -> tuple[Tensor, list[float]]:
        """States (2, frames at 25 Hz, 200), and the scores of both ways to fill the window."""
        wave = wave / (wave.abs().max() + 1e-8)
        frames = -(-len(wave) // HOP)
        pooled = self.net.transformer_pool_attn
        x = torch.stack([self._padded(wave), self._repeated(F.pad(wave, (LATE, 0)))])
        with torch.autocast("cpu", torch.bfloat16):
            x = pooled.transformer.norm(pooled.norm_input(x)).transpose(1, 2)
            x = pooled.transformer.position_encoding(pooled.transformer.linear_proj(x))
            kept = []
            for i, layer in enumerate(pooled.transformer.transformer_encoder.layers, 1):
                x = layer(x)
                if i in (CUT, len(pooled.transformer.transformer_encoder.layers)):
                    kept.append(x.float().mean(0))
            score = pooled.pool(pooled.norm_trans(x.transpose(1, 2)).transpose(1, 2)).float()
        halved = torch.stack(kept).unflatten(1, (-1, 2)).mean(2)
        return halved[:, : -(-frames // 2)], (1 + 4 * score.sigmoid().flatten()).tolist()

    def _padded(self, wave: Tensor) -> Tensor:
        """(1024, frames of a window) with silence behind the clip, as its authors do it."""
        x = self._convolved(F.pad(wave, (0, -len(wave) % AROUND + AROUND))[:WINDOW])
        return torch.cat([x, self._silence.expand(-1, WINDOW // HOP - x.shape[1])], 1)

    def _repeated(self, wave: Tensor) -> Tensor:
        """(1024, frames of a window) of the clip again and again."""
        wave = F.pad(wave, (0, -len(wave) % HOP))[:WINDOW]
        frames = len(wave) // HOP
        again = wave.repeat(-(-2 * AROUND // len(wave)))
        x = self._convolved(torch.cat([again[-AROUND:], wave, again[: AROUND - len(wave) % AROUND + AROUND]]))
        x = x[:, AROUND // HOP :][:, :frames]
        return x.repeat(1, -(-(WINDOW // HOP) // frames))[:, : WINDOW // HOP]

    def _convolved(self, wave: Tensor) -> Tensor:
        """(samples,) -> (1024, frames at 50 Hz); in bfloat16, which moves scores by some thousandths."""
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            found: Tensor = self.net.cnn(wave[None])[0].float()
        return found


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    torch.set_num_threads(1)
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] if len(sys.argv) == 4 else "1/1")
