"""Published networks, run as they are in calls: frame by frame, each clip from fresh states, in one thread.

A network of this kind has no dial: severity is the share of it in the mix, from half to whole.
"""

from collections.abc import Callable

import numpy as np
import scipy.fft

from sqa_data.degrade.kind import Act, Family, Kind, Settings, Surroundings, World
from sqa_data.degrade.kinds.enhancer.running import enhanced
from sqa_data.degrade.networks import Network
from sqa_data.degrade.signal import Samples, fit, frames, istft, stft

RATE = 16_000  # Hz, of all of them
WINDOW_S, HOP_S = 0.032, 0.016  # of GTCRN
BLOCK, SHIFT = 512, 128  # samples, of DTLN

GTCRN = Network("gtcrn", ("gtcrn_simple.onnx",), "Xiaobin-Rong/gtcrn", "onnxruntime")
DTLN = Network("dtln", ("model_1.onnx", "model_2.onnx"), "breizhn/DTLN", "onnxruntime")


def gtcrn(noisy: Samples, around: Surroundings) -> Samples:
    """GTCRN (Rong et al., 2024) at 16 kHz: a complex mask for each frame of a spectrum."""
    run = GTCRN.onnx_run(around, GTCRN.files[0])
    spectrum = stft(noisy, RATE, WINDOW_S, HOP_S)
    parts = np.stack([spectrum.real, spectrum.imag], axis=-1)[:, None, :, None]  # (frames, 1, bins, 1, 2)
    made = np.concatenate([run(frame) for frame in parts])[:, :, 0].astype(np.float64)  # (frames, bins, 2)
    return istft(made[..., 0] + 1j * made[..., 1], RATE, WINDOW_S, HOP_S, len(noisy))


def dtln(noisy: Samples, around: Surroundings) -> Samples:
    """DTLN (Westhausen and Meyer, 2020) at 16 kHz: a mask of the spectrum, then one of learned features."""
    mask, refine = (DTLN.onnx_run(around, file) for file in DTLN.files)
    lead = BLOCK - SHIFT
    blocks = frames(np.pad(noisy, (lead, 0)), BLOCK, SHIFT)
    out = np.zeros((len(blocks) - 1) * SHIFT + BLOCK)
    for number, block in enumerate(blocks):
        spectrum = scipy.fft.rfft(block)[None, None]
        masked = scipy.fft.irfft(spectrum * mask(np.abs(spectrum)))
        out[number * SHIFT :][:BLOCK] += refine(masked)[0, 0]
    return fit(out[lead:], len(noisy))


def _act(network: Callable[[Samples, Surroundings], Samples]) -> Act:
    def act(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        wet = 0.5 + severity / 2
        y = enhanced(x, world.rate, RATE, lambda heard: network(heard, world.around), wet=wet)
        return y, {"wet": wet, "rate_hz": RATE}

    return act


KINDS = {
    "gtcrn": Kind(Family.ENHANCER, _act(gtcrn), GTCRN.missing),
    "dtln": Kind(Family.ENHANCER, _act(dtln), DTLN.missing),
}
