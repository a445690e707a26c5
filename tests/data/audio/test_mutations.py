"""Thousands of damaged files: each gives samples or an `AudioError`, in little memory, and facts that are true."""

import io
import struct
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sqa_data.audio import AudioError, AudioInfo, Heard, digest, hear, look, mixed, signal_facts

FRAMES = 6_000
KINDS = [
    ("WAV", "PCM_16"),
    ("WAV", "FLOAT"),
    ("WAV", "GSM610"),
    ("WAVEX", "PCM_24"),
    ("RF64", "PCM_16"),
    ("W64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("AU", "FLOAT"),
    ("CAF", "PCM_16"),
    ("CAF", "ALAC_16"),
    ("FLAC", "PCM_16"),
    ("OGG", "VORBIS"),
    ("OGG", "OPUS"),
    ("MP3", "MPEG_LAYER_III"),
    ("NIST", "PCM_16"),
]
EXACT = {"WAV", "WAVEX", "RF64", "W64", "AIFF", "AU", "CAF", "NIST"}  # hold each sample in bytes of its own
NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def original(kind: tuple[str, str]) -> bytes:
    rng = np.random.default_rng(KINDS.index(kind))
    channels = 1 if kind[1] == "GSM610" else int(rng.integers(1, 3))
    file = io.BytesIO()
    rate = 8_000 if kind[1] == "GSM610" else 16_000
    soundfile.write(file, rng.normal(0, 0.1, (FRAMES, channels)), rate, format=kind[0], subtype=kind[1])
    return file.getvalue()


def mutated(content: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """(how, bytes): flipped, cut, or with a hostile number in the header."""
    how = str(rng.choice(["flip", "cut", "number", "number", "flip header"]))
    damaged = bytearray(content)
    header = min(len(content), 5000 if content[:4] == b"caff" else 200)
    if how == "cut":
        del damaged[int(rng.integers(1, len(content))) :]
    elif how == "number":
        order, code = str(rng.choice(["<", ">"])), str(rng.choice(["H", "I", "I", "Q"]))
        at = int(rng.integers(4, header - 8))
        value = int(rng.choice(NUMBERS)) if rng.random() < 0.7 else int(rng.integers(1 << 32))
        struct.pack_into(order + code, damaged, at, value % (1 << 8 * struct.calcsize(code)))
    else:
        end = header if how == "flip header" else len(content)
        for at in rng.integers(0, end, int(rng.integers(1, 6))).tolist():
            damaged[at] ^= 1 << int(rng.integers(8))
    return how, bytes(damaged)


def check(heard: Heard, whole: np.ndarray, kind: tuple[str, str], how: str) -> None:
    """What must hold of anything that was heard."""
    samples = heard.samples
    assert samples.dtype == np.float32
    assert samples.flags.c_contiguous
    assert len(samples)
    assert np.isfinite(samples).all()
    assert [fact.code for fact in heard.facts] in ([], ["short_of_header"])
    signal_facts(samples, heard.sample_rate)
    assert np.isfinite(mixed(samples)).all()
    if how == "cut":
        # an Ogg file has an end mark; of the others, the last block or hundredth of a second may go without a word
        slight = 320 if kind[1] == "GSM610" else 160
        short = kind[0] == "OGG" or len(samples) < len(whole) - slight
        plain = kind[0] in EXACT and kind[1][:3] in {"PCM", "FLO"}
        if (
            short and kind[1] != "ALAC_16"
        ):  # which says its length behind the sound: without that, it has what it has
            assert heard.facts, (kind, len(samples))
        if plain and not short:
            assert not heard.facts, (kind, len(samples))
        sure = (
            len(samples) if plain else len(samples) - 4096
        )  # a cut block of a codec decodes to something else
        if sure > 0:
            np.testing.assert_allclose(samples[:sure], whole[:sure], atol=1e-6)


def attempt(read: Callable[[Path], object], path: Path) -> object:
    """What it gives, or its `AudioError`; any other error is one too many."""
    try:
        return read(path)
    except AudioError as error:
        return error


def survey(path: Path, count: int, seed: int) -> Counter[str]:
    rng = np.random.default_rng(seed)
    contents = {kind: original(kind) for kind in KINDS}
    wholes = {kind: hear(io.BytesIO(content)).samples for kind, content in contents.items()}
    seen: Counter[str] = Counter()
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        how, damaged = mutated(contents[kind], rng)
        path.write_bytes(damaged)
        tracemalloc.start()
        heard = attempt(hear, path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 12 << 20, (kind, how, peak)  # three blocks
        info = attempt(look, path)
        attempt(digest, path)
        if isinstance(heard, AudioError):
            assert str(heard).startswith(f"{path}: ")
            seen["AudioError"] += 1
        else:
            assert isinstance(heard, Heard)
            check(heard, wholes[kind], kind, how)
            seen["short_of_header" if heard.facts else "heard"] += 1
            assert isinstance(info, AudioInfo)
            slight = 0.01 * heard.sample_rate  # less than this is no fact
            assert heard.facts or abs(info.frames - len(heard.samples)) <= slight, (kind, how)
            assert info.channels == heard.samples.shape[1]
        seen["peak"] = max(seen["peak"], peak)
    return seen


def test_damaged_files(tmp_path: Path) -> None:
    seen = survey(tmp_path / "a", 300, 0)
    assert min(seen["AudioError"], seen["heard"], seen["short_of_header"]) > 20


@pytest.mark.slow
def test_many_damaged_files(tmp_path: Path) -> None:
    seen = survey(tmp_path / "a", 6_000, 1)
    assert min(seen["AudioError"], seen["heard"], seen["short_of_header"]) > 500
