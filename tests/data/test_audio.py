"""The header reader agrees with libsndfile on every file it accepts; the digest sees samples, not bytes."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from sqa_data import DataError
from sqa_data.audio import digest, probe

FORMATS = [("WAV", s) for s in ("PCM_16", "PCM_24", "PCM_U8", "FLOAT", "ULAW")] + [
    ("WAVEX", "PCM_16"),
    ("FLAC", "PCM_16"),
    ("FLAC", "PCM_24"),
    ("OGG", "VORBIS"),
    ("RF64", "PCM_16"),
    ("AIFF", "PCM_16"),
    ("W64", "PCM_16"),
]


@given(
    st.sampled_from(FORMATS), st.sampled_from([8000, 22050, 48000]), st.integers(1, 3000), st.integers(1, 2)
)
def test_probe_equals_libsndfile(tmp_path_factory, kind, rate, frames, channels) -> None:
    path = tmp_path_factory.mktemp("a") / f"a.{kind[0].lower()}"
    signal = np.random.default_rng(frames).normal(0, 0.1, (frames, channels))
    soundfile.write(path, signal, rate, format=kind[0], subtype=kind[1])
    theirs = soundfile.info(path)
    ours = probe(path)
    assert (ours.frames, ours.sample_rate) == (theirs.frames, theirs.samplerate)
    assert ours.duration == theirs.frames / theirs.samplerate


@pytest.mark.parametrize("cut", [1, 43, 44, 45, 1000])
def test_a_cut_file_is_judged_as_libsndfile_judges_it(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.zeros(4000, np.float32), 16000)
    path.write_bytes(path.read_bytes()[:cut])
    try:
        theirs = soundfile.info(path).frames
    except soundfile.LibsndfileError:
        with pytest.raises(DataError, match="not readable as audio"):
            probe(path)
    else:
        assert probe(path).frames == theirs < 4000


def test_real_files(shared: Path) -> None:
    paths = [*(shared / "data" / "speech_samples").rglob("*.wav"), *(shared / "data" / "p835").glob("*.flac")]
    assert len(paths) > 80
    for path in paths:
        if path.name == "invalid.wav":
            with pytest.raises(DataError, match=r"invalid\.wav: not readable as audio"):
                probe(path)
            continue
        theirs = soundfile.info(path)
        assert (probe(path).frames, probe(path).sample_rate) == (theirs.frames, theirs.samplerate)


def test_digest_sees_samples_not_packing(tmp_path: Path) -> None:
    signal = np.random.default_rng(0).integers(-3000, 3000, 5000).astype(np.int16)
    for name in ("a.wav", "b.flac", "c.wav"):
        soundfile.write(tmp_path / name, signal, 16000, subtype="PCM_16")
    soundfile.write(tmp_path / "other.wav", signal[:-1], 16000)
    soundfile.write(tmp_path / "rate.wav", signal, 8000)
    digests = {path.name: digest(path)[1] for path in tmp_path.iterdir()}
    assert digests["a.wav"] == digests["b.flac"] == digests["c.wav"]
    assert len(set(digests.values())) == 3


def test_a_flac_cut_short_does_not_decode(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 20000), 16000)
    path.write_bytes(path.read_bytes()[:-5000])
    assert probe(path).frames == 20000  # its header promises them
    with pytest.raises(DataError, match=r"does not decode|its header says"):
        digest(path)


def test_missing_and_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    with pytest.raises(DataError, match="empty file"):
        probe(tmp_path / "empty.wav")
    with pytest.raises(DataError, match="No such file"):
        probe(tmp_path / "none.wav")
