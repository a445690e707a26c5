"""Small sound files of every format, made in memory."""

import io

import numpy as np
import soundfile

FORMATS = [("WAV", s) for s in ("PCM_16", "PCM_24", "PCM_U8", "FLOAT", "ULAW", "IMA_ADPCM")] + [
    ("WAVEX", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("FLAC", "PCM_24"),
    ("OGG", "VORBIS"),
    ("RF64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "PCM_16"),
    ("CAF", "PCM_16"),
    ("NIST", "PCM_16"),
    ("W64", "PCM_16"),
    ("MP3", "MPEG_LAYER_III"),
]


def noise(frames: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(frames).normal(0, 0.1, (frames, channels))


def encoded(kind: tuple[str, str], frames: int = 20_000, channels: int = 1, rate: int = 16_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, noise(frames, channels), rate, format=kind[0], subtype=kind[1])
    return file.getvalue()
