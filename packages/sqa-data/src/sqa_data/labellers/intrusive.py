"""Full-reference metrics: the degraded clip against the clean one it came from.

Where a definition leaves a choice, it is the one of the URGENT challenges, whose labels users mix with ours.
"""

import contextlib
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from sqa_data.labellers import Score
from sqa_data.labellers.signals import ClipError, Signals

STOI_RATE = 10_000  # Hz: what `pystoi` resamples to
MOST_DB = 50.0  # the URGENT challenges clamp SDR there: of equal signals it is infinite


def pesq(device: str, fast: bool) -> Score:
    """PESQ as MOS-LQO (ITU-T P.862.2), wide band at 16 kHz, by `pesq`.

    Clips of 8 kHz are narrow band (P.862.1).
    """
    import pesq as package

    return _pesq("pesq", package)


def pesqc2(device: str, fast: bool) -> Score:
    """PESQ with Corrigendum 2 of ITU-T P.862 (2018), which lifts wide-band scores, by `pesqc2`."""
    import pesqc2 as package

    return _pesq("pesqc2", package)


def _pesq(label: str, package: Any) -> Score:
    def score(clip: Signals) -> dict[str, float]:
        rate, mode = (8000, "nb") if clip.rate == 8000 else (16000, "wb")
        reference, degraded = clip.pair(rate)
        try:
            return {label: float(package.pesq(rate, reference, degraded, mode))}
        except package.PesqError as error:  # no utterance found, too short
            found = error.args[0] if error.args else type(error).__name__
            found = found.decode() if isinstance(found, bytes) else found
            raise ClipError(f"{clip.path}: {label}: {found}") from error

    return score


def stoi(device: str, fast: bool) -> Score:
    """Short-time objective intelligibility (Taal et al. 2011), by `pystoi`."""
    return _stoi("stoi", extended=False)


def estoi(device: str, fast: bool) -> Score:
    """Extended STOI (Jensen and Taal 2016), by `pystoi`."""
    return _stoi("estoi", extended=True)


def _stoi(label: str, extended: bool) -> Score:
    import pystoi

    def score(clip: Signals) -> dict[str, float]:
        rate = clip.simple_rate(STOI_RATE)
        reference, degraded = clip.pair(rate)
        with warnings.catch_warnings(), _seeded():
            # it warns "Not enough STFT frames ..." and returns 1e-5: an error said as a number
            warnings.simplefilter("error", RuntimeWarning)
            try:
                return {label: float(pystoi.stoi(reference, degraded, rate, extended=extended))}
            except (RuntimeWarning, np.exceptions.AxisError) as error:
                # it goes on: "Returning 1e-5", which we do not; of less than a frame it makes an empty array
                told = isinstance(error, RuntimeWarning)
                found = (
                    str(error).partition(". ")[0] if told else "Not enough STFT frames: the clip is too short"
                )
                raise ClipError(f"{clip.path}: {label}: {found}") from error

    return score


@contextlib.contextmanager
def _seeded() -> Iterator[None]:
    """The package adds tiny noise of NumPy's global generator: here of seed 0, as the URGENT challenges draw it."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(0)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def sdr(device: str, fast: bool) -> Score:
    """Signal-to-distortion ratio in dB, within +-50 dB, by `fast_bss_eval`.

    BSS Eval v3 with 512 taps (Vincent et al. 2006), in float64: the challenges' float32 is up to .015 dB off it.
    """
    import fast_bss_eval

    def score(clip: Signals) -> dict[str, float]:
        reference, degraded = (signal[None] for signal in _exact_pair(clip))
        return {"sdr": float(fast_bss_eval.sdr(reference, degraded, clamp_db=MOST_DB)[0])}

    return score


def si_sdr(device: str, fast: bool) -> Score:
    """Scale-invariant SDR in dB (Le Roux et al. 2019) within +-50 dB as `sdr`, means removed, at the clip's rate."""

    def score(clip: Signals) -> dict[str, float]:
        reference, degraded = (signal - signal.mean() for signal in _exact_pair(clip))
        target = reference * (degraded @ reference) / (reference @ reference)
        powers = np.array([np.sum(target**2), np.sum((degraded - target) ** 2)])
        shares = (
            powers / powers.sum()
        )  # as the clamp of fast_bss_eval: 50 dB of a clip that equals its reference
        ratio = 10 * np.log10(np.maximum(shares, 1e-20))
        return {"si_sdr": float(np.clip(ratio[0] - ratio[1], -MOST_DB, MOST_DB))}

    return score


def lsd(device: str, fast: bool) -> Score:
    """Log-spectral distance as the URGENT challenges define it, at the clip's rate.

    Frames of 32 ms every 16 ms, natural logarithm of the power ratio, after scaling the degraded clip to the
    reference by least squares; root mean square over frequency, mean over time.
    """

    def score(clip: Signals) -> dict[str, float]:
        return {"lsd": log_spectral_distance(*clip.pair(), clip.rate)}

    return score


def log_spectral_distance(reference: np.ndarray, degraded: np.ndarray, rate: int) -> float:
    """LSD of two aligned signals (samples,), in natural-log power units; 0 where only their scales differ.

    A frame whose reference is digital silence counts 18.4, even against itself, as in the challenge's formula.
    In the precision of the signals: float32 for the challenge's values, since the rounding of the scaled clip is all
    there is in an empty band.
    """
    tiny = 1e-8
    degraded = _scaled(degraded, reference)
    size, hop = int(rate * 0.032), int(rate * 0.016)
    of_reference, of_degraded = (_magnitudes(signal, size, hop) for signal in (reference, degraded))
    ratio = np.log(of_reference**2 / (of_degraded + tiny) ** 2 + tiny)  # (frames, bins)
    return float(np.mean(np.sqrt(np.mean(ratio**2, axis=1))))


def _scaled(degraded: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """The degraded signal at the scale of its reference by least squares, in its own precision."""
    scale = np.sum(reference * degraded) / (np.sum(degraded**2) + 1e-8)
    return np.asarray(degraded * scale, degraded.dtype)


def mcd(device: str, fast: bool) -> Score:
    """Mel-cepstral distortion in dB as the URGENT challenges and ESPnet define it, by `pysptk`.

    At the clip's rate, frames of 1024 samples every 256; cepstra aligned by `fastdtw`; the energy coefficient
    counts; the degraded clip is first scaled to the reference by least squares.
    """
    import fastdtw
    import scipy.spatial.distance

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pysptk imports the deprecated pkg_resources
        import pysptk

    window = pysptk.sptk.hamming(1024)

    def cepstra(signal: np.ndarray, order: int, alpha: float) -> np.ndarray:
        frames = np.lib.stride_tricks.sliding_window_view(signal, 1024)[::256] * window
        return np.stack([pysptk.mcep(frame, order, alpha, eps=1e-6, etype=1) for frame in frames])

    def score(clip: Signals) -> dict[str, float]:
        rate = clip.rate
        if rate not in MCEP:
            raise ClipError(
                f"{clip.path}: mcd has no setting for {rate} Hz; expected one of {', '.join(map(str, MCEP))}"
            )
        reference, degraded = clip.pair()
        if len(reference) < 1024:
            raise ClipError(f"{clip.path}: mcd needs 1024 samples; found {len(reference)}")
        ours, theirs = (cepstra(x, *MCEP[rate]) for x in (reference, _scaled(degraded, reference)))
        path = np.array(fastdtw.fastdtw(ours, theirs, dist=scipy.spatial.distance.euclidean)[1]).T
        squared = np.sum((ours[path[0]] - theirs[path[1]]) ** 2, axis=1)
        return {"mcd": float(np.mean(10 / np.log(10) * np.sqrt(2 * squared)))}

    return score


# sampling rate in Hz -> order of the mel-cepstrum, warping (all-pass constant)
MCEP = {
    8000: (13, 0.31), 16000: (23, 0.42), 22050: (34, 0.45), 24000: (34, 0.46), 32000: (36, 0.50), 44100: (39,
    0.53), 48000: (39, 0.55),
}  # fmt: skip


def _magnitudes(signal: np.ndarray, size: int, hop: int) -> np.ndarray:
    """(frames, bins) in the signal's precision: periodic Hann window, zeros around the signal, as librosa does."""
    padded = np.pad(signal, size // 2)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    spectrum = np.fft.rfft(np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * window, axis=1)
    magnitudes: np.ndarray = np.abs(spectrum.astype(np.result_type(signal, np.complex64)))
    return magnitudes


def _exact_pair(clip: Signals) -> tuple[np.ndarray, np.ndarray]:
    """(reference, degraded) at the clip's own rate in float64."""
    reference, degraded = clip.pair()
    return reference.astype(np.float64), degraded.astype(np.float64)
