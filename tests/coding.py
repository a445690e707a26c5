"""What the tests of codecs share: a clip through a codec, its packets lost or not, and what ffmpeg hears in them."""

import shutil
import subprocess

import numpy as np
import pytest
from degrading import RATE, speech_like
from sqa_data.degrade.kind import Surroundings
from sqa_data.degrade.kinds.codec.frames import Coder, through
from sqa_data.degrade.signal import Samples


def code(
    coder: Coder, kbps: float | None = None, lost: np.ndarray | None = None, x: Samples | None = None
) -> tuple[Samples, float]:
    """A clip (by default like speech, of 2 s) at a bit rate (by default the best) and back; skips what is not here."""
    if reason := coder.missing(Surroundings()):
        pytest.skip(reason)
    with coder.open(coder.kbps[0] if kbps is None else kbps, RATE) as codec:
        return through(speech_like() if x is None else x, RATE, codec, lost)


def ours_and_ffmpegs(
    coder: Coder, kbps: float, demuxer: str, head: bytes, *options: str
) -> tuple[Samples, Samples]:
    """What the coder's decoder and what ffmpeg's make of the same packets, each after a head."""
    if reason := coder.missing(Surroundings()):
        pytest.skip(reason)
    if not shutil.which("ffmpeg"):
        pytest.skip("needs ffmpeg")
    with coder.open(kbps, RATE) as codec:
        x = speech_like(1.0, rate=codec.rate)
        pcm = np.rint(x[: len(x) // codec.size * codec.size] * 32767).astype(np.int16)
        packets = [codec.encode(frame) for frame in pcm.reshape(-1, codec.size)]
        ours = np.concatenate([codec.decode(packet) for packet in packets]).astype(float)
    magic = {"amr": b"#!AMR\n" if codec.rate == 8000 else b"#!AMR-WB\n"}.get(demuxer, b"")
    command = ["ffmpeg", "-v", "error", "-f", demuxer, *options, "-i", "-", "-f", "s16le", "-"]
    sent = magic + b"".join(head + packet for packet in packets)
    made = subprocess.run(command, input=sent, capture_output=True, check=True).stdout
    return ours, np.frombuffer(made, np.int16)[: len(ours)].astype(float)


def snr_db(reference: Samples, found: Samples) -> float:
    """How much stronger a signal is than its difference to another, in dB."""
    difference = np.mean((found - reference) ** 2)
    return float(10 * np.log10(np.mean(reference**2) / max(difference, 1e-12)))
