"""Metrics whose weights come in a package: networks of others, as these packages run them.

Distill-MOS (Stahl and Gamper 2025, `distillmos`), and of `speechmos` DNSMOS P.835, P.808 (Reddy et al. 2021, 2022) and
PLCMOS (Diener et al. 2023).
"""

import contextlib
import io
from pathlib import Path
from typing import Any

import numpy as np

from sqa_data.labellers import Score
from sqa_data.labellers.signals import ClipError, Signals

RATE = 16000
WINDOW = int(9.01 * RATE)
PLCMOS_FRAMES = 7  # what its pooling layers leave something of


def distill_mos(device: str, fast: bool) -> Score:
    """As `distillmos FILE` scores a mono file: torchaudio's resampler, windows of 7.68 s.

    `fast`: the convolutions (95 % of the work) in bfloat16, which moves scores by some thousandths.
    """
    import distillmos.sqa as package

    # the library's own: this package never imports torch itself
    torch, torchaudio = package.torch, package.torchaudio
    with contextlib.redirect_stdout(io.StringIO()):  # it prints where its weights lie
        model = package.ConvTransformerSQAModel().eval().to(device)
    if fast:
        convolve = model.cnn.forward

        def in_bfloat16(samples):  # type: ignore[no-untyped-def]
            with torch.autocast(device.split(":")[0], torch.bfloat16):
                return convolve(samples).float()

        model.cnn.forward = in_bfloat16

    def score(clip: Signals) -> dict[str, float]:
        rate = clip.simple_rate(RATE)
        samples = torch.from_numpy(clip.whole_band(rate)[None].copy())  # (1, samples)
        if rate != RATE:
            samples = torchaudio.transforms.Resample(rate, RATE)(samples)
        with torch.inference_mode():
            return {"distill_mos": float(model(samples.to(device)))}

    return score


def dnsmos(device: str, fast: bool) -> Score:
    """Overall, signal and background quality, as `speechmos.dnsmos.run` computes them of a file.

    At other rates than 16 kHz the clip has soxr's own length, as in the URGENT challenges; the package's reader rounds
    it up, and in the doubling of short clips one sample counts. Samples beyond full scale are scored as they are. The
    package also runs its P.808 network, window by window, on all cores; here only the P.835 network runs,
    on one.
    """
    from speechmos import dnsmos as package

    session = _session(package, "dnsmos_models/sig_bak_ovr.onnx")
    polynomials = package.DNSMOS.get_polyfit_val

    def score(clip: Signals) -> dict[str, float]:
        windows = _dnsmos_windows(clip.samples(RATE))
        raw = np.concatenate([session.run(None, {"input_1": window[None]})[0] for window in windows])
        sig, bak, ovrl = np.mean([polynomials(None, *row, False) for row in raw], axis=0)
        return {"dnsmos_ovrl": float(ovrl), "dnsmos_sig": float(sig), "dnsmos_bak": float(bak)}

    return score


def dnsmos_p808(device: str, fast: bool) -> Score:
    """The P.808 score, as `speechmos.dnsmos.run` computes it."""
    from speechmos import dnsmos as package

    session = _session(package, "dnsmos_models/model_v8.onnx")
    features = package.DNSMOS.audio_melspec

    def score(clip: Signals) -> dict[str, float]:
        windows = _dnsmos_windows(clip.samples(RATE))
        mels = [features(None, audio=window[:-160])[None].astype(np.float32) for window in windows]
        return {"dnsmos_p808": float(np.mean([session.run(None, {"input_1": mel})[0] for mel in mels]))}

    return score


def plcmos(device: str, fast: bool) -> Score:
    """PLCMOS v2, as `speechmos.plcmos.run` computes it, with its random raters drawn from a fixed seed.

    The package averages over 15 raters drawn anew at every call, so that its own score moves by some
    hundredths.
    """
    from speechmos import plcmos as package

    model = object.__new__(package.PLCMOS)  # its __init__ would open the network on all cores
    session = _session(package, "plcmos_models/plcmos_v2.onnx")
    raters = np.random.default_rng(0).standard_normal((15, 1, 64)).astype(np.float32)

    def score(clip: Signals) -> dict[str, float]:
        features = model.stft_transform(clip.samples(RATE))[None, None].astype(np.float32)
        if features.shape[2] < PLCMOS_FRAMES:  # (1, 1, frames, bins)
            raise ClipError(
                f"{clip.path}: plcmos needs {PLCMOS_FRAMES} frames of 16 ms; found {features.shape[2]}"
            )
        scores = [session.run(None, {"degraded_audio": features, "rater_embed": r})[0] for r in raters]
        return {"plcmos": float(np.mean(scores))}

    return score


def _session(package: Any, weights: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # the clips are what runs in parallel
    return onnxruntime.InferenceSession(
        str(Path(package.__file__).parent / weights), options, providers=["CPUExecutionProvider"]
    )


def _dnsmos_windows(samples: np.ndarray) -> list[np.ndarray]:
    """Windows of 9.01 s at hops of 1 s; a short clip is doubled until it fills one."""
    while len(samples) < WINDOW:
        samples = np.append(samples, samples)
    hops = int(np.floor(len(samples) / RATE) - 9.01) + 1
    windows = [samples[int(hop * RATE) : int((hop + 9.01) * RATE)] for hop in range(hops)]
    return [np.asarray(window, np.float32) for window in windows if len(window) >= WINDOW]
