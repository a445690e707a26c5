"""Pairs of clean and degraded speech on which labels are held against the challenge's own code.

The 14 real pairs of shared/data/speech_samples, each resampled once to two of seven rates, and some of them loud,
clipped, inverted, shifted, short or equal. Needs NumPy, soundfile and soxr only: `tools/challenge_values.py` runs it in
an environment of its own.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile as sf
import soxr

RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
SECONDS = 5  # of each clip at most: long enough for two windows of DNSMOS
SAMPLES = [
    ("pesq_pair/speech.wav", "pesq_pair/speech_bab_0dB.wav"),
    ("scoreq_pair/ref.wav", "scoreq_pair/opus.wav"),
    ("plcmos_examples/clean.wav", "plcmos_examples/plc_good.wav"),
    ("plcmos_examples/clean.wav", "plcmos_examples/plc_poor.wav"),
    ("noizeus_assets/sp03.flac", "noizeus_assets/sp03_casino_sn5.flac"),
    ("noizeus_assets/sp04.wav", "noizeus_assets/sp04_casino_sn0.wav"),
    ("noizeus_assets/sp05.flac", "noizeus_assets/sp05_casino_sn-5.flac"),
    ("deepfilternet_assets/clean_freesound_33711.flac", "deepfilternet_assets/noisy_snr0.flac"),
    *(
        (f"vctk_demand_pairs/clean/p287_00{n}.wav", f"vctk_demand_pairs/noisy/p287_00{n}.wav")
        for n in range(1, 7)
    ),
]
CHANGES = ("loud", "clipped", "inverted", "late", "short")


class Case(NamedTuple):
    """One pair at one rate, the degraded side changed or not ("")."""

    pair: int  # of SAMPLES
    rate: int
    change: str

    @property
    def name(self) -> str:
        """How the stored values are found: "sp03_casino_sn5 at 22050 Hz, late"."""
        stem = Path(SAMPLES[self.pair][1]).stem
        return f"{stem} at {self.rate} Hz" + (f", {self.change}" if self.change else "")


def cases() -> Iterator[Case]:
    """Every pair at two rates, every rate four times; each change at three of the rates."""
    for pair in range(len(SAMPLES)):
        for step in (0, 3):
            yield Case(pair, RATES[(pair + step) % 7], "")
    for number, change in enumerate(CHANGES):
        for step in range(3):
            yield Case((3 * number + 5 * step) % 14, RATES[(number + 2 * step) % 7], change)
    yield Case(0, 16000, "equal")


def make(case: Case, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """(reference, degraded), each (samples,) float32 of one length, from the samples in `folder`."""
    signals = []
    for name in SAMPLES[case.pair]:
        samples, rate = sf.read(folder / name, dtype="float32")
        signals.append(soxr.resample(samples[: SECONDS * rate], rate, case.rate))
    length = min(map(len, signals))
    reference, degraded = (signal[:length] for signal in signals)
    late = case.rate // 20
    if case.change == "loud":
        degraded = 4 * degraded
    elif case.change == "clipped":
        degraded = np.clip(40 * degraded, -1, 1)
    elif case.change == "inverted":
        degraded = -0.1 * degraded
    elif case.change == "late":
        reference, degraded = reference[late:], degraded[:-late]
    elif case.change == "short":
        reference, degraded = (signal[: round(0.9 * case.rate) + 1] for signal in (reference, degraded))
    elif case.change == "equal":
        degraded = reference
    return np.float32(reference), np.float32(degraded)
