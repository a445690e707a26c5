"""What Distill-MOS says of clips, each heard at four delays; what it said is kept in a file and never asked again."""

import contextlib
import hashlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import distillmos.sqa as package
import numpy as np
import torch
import torchaudio
from sqa_data.labellers import Signals
from torch import Tensor

RATE = 16_000
DELAYS = (
    0,
    80,
    160,
    240,
)  # zeros in front, at 16 kHz: half frames of the teacher, whose score moves by .12 with them
COLUMN = 320  # samples of a column of what its convolutions give
REACH = 5  # columns that the convolutions see to either side, at most
AROUND = 2 * REACH * COLUMN  # zeros after a clip that are heard before the rest is copied
COLUMNS = package.SEQ_LEN // COLUMN


class Teacher:
    """The official model, its convolutions in bfloat16 where that pays (the labeller's `fast`).

    Clips shorter than its window of 7.68 s are padded with zeros by the model itself. The convolutions of these zeros
    are known, so they are copied: the scores are those of the model as it is, to rounding.
    """

    def __init__(self, cache: Path | None) -> None:
        self.cache = cache
        self.known: dict[tuple[str, int], float] = {}
        if cache and cache.exists():
            for line in cache.read_text().splitlines():
                with contextlib.suppress(ValueError):  # the torn last line of a run that was stopped
                    row = json.loads(line)
                    self.known[row["audio"], row["delay"]] = row["mos"]
        self._model: Any = None

    def __call__(self, waves: list[np.ndarray], name: str = "") -> np.ndarray:
        """(clips, delays) scores of mono clips at 16 kHz."""
        keys = [key_of(wave) for wave in waves]
        new = [i for i, key in enumerate(keys) if any((key, delay) not in self.known for delay in DELAYS)]
        for done, i in enumerate(new):
            if done % 10 == 0:
                print(f"teacher, {name}: {done} of {len(new)} new clips", file=sys.stderr, flush=True)
            self._keep(keys[i], self._scores(waves[i]))
        return np.array([[self.known[key, delay] for delay in DELAYS] for key in keys])

    def _keep(self, key: str, scores: np.ndarray) -> None:
        found = {(key, delay): float(score) for delay, score in zip(DELAYS, scores, strict=True)}
        self.known |= found
        if self.cache:
            self.cache.parent.mkdir(parents=True, exist_ok=True)
            with self.cache.open("a") as file:
                for (audio, delay), mos in found.items():
                    file.write(json.dumps({"audio": audio, "delay": delay, "mos": round(mos, 5)}) + "\n")

    @torch.inference_mode()
    def _scores(self, wave: np.ndarray) -> np.ndarray:
        delayed = [np.concatenate([np.zeros(delay, np.float32), wave]) for delay in DELAYS]
        model = self._loaded()
        if len(delayed[-1]) + AROUND + COLUMN > package.SEQ_LEN:
            return np.array([float(model(torch.from_numpy(x)[None])) for x in delayed])
        longest = len(delayed[-1])
        return self._padded(
            model, torch.from_numpy(np.stack([np.pad(x, (0, longest - len(x))) for x in delayed]))
        )

    def _padded(self, model: Any, x: Tensor) -> np.ndarray:
        """Scores of clips with zeros after them, whose convolutions are copied."""
        x = x / (x.abs().amax(dim=1, keepdim=True) + 1e-8)
        heard = -(-x.shape[1] // COLUMN) * COLUMN + AROUND
        features = model.cnn(torch.nn.functional.pad(x, (0, heard - x.shape[1])))[:, :, :-REACH]
        silent = model.cnn(torch.zeros(1, 4 * REACH * COLUMN))[0]
        inside, end = silent[:, 2 * REACH : 2 * REACH + 1], silent[:, -REACH:]
        rest = torch.cat([inside.expand(-1, COLUMNS - features.shape[2] - REACH), end], 1)
        whole = torch.cat([features, rest.expand(len(x), -1, -1)], 2)
        scores = model.transformer_pool_attn(whole.permute(0, 2, 1)).flatten()
        return np.asarray(1 + 4 * scores.numpy(), np.float64)

    def _loaded(self) -> Any:
        if self._model is None:
            with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights lie
                self._model = package.ConvTransformerSQAModel().eval()
            convolve = self._model.cnn.forward

            def in_bfloat16(samples: Tensor) -> Tensor:
                with torch.autocast("cpu", torch.bfloat16):
                    features: Tensor = convolve(samples).float()
                return features

            self._model.cnn.forward = in_bfloat16
        return self._model


def key_of(wave: np.ndarray) -> str:
    """What a clip is known by: a hash of its samples."""
    return hashlib.sha256(np.ascontiguousarray(wave, np.float32).tobytes()).hexdigest()[:32]


def heard_by_teacher(path: str | Path) -> np.ndarray:
    """A file at 16 kHz, float32, as the labeller `distill_mos` gives it to the model."""
    clip = Signals(Path(path))
    rate = clip.simple_rate(RATE)
    samples = torch.from_numpy(clip.whole_band(rate).copy())
    if rate != RATE:
        samples = torchaudio.transforms.Resample(rate, RATE)(samples)
    return np.asarray(samples.numpy(), np.float32)
