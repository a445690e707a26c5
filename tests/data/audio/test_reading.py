"""What is read is what is there: every format, every part, every kind of lie in a header."""

import io
import re
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from sounds import FORMATS, encoded, noise
from sqa_data.audio import RATES, AudioError, digest, hear, look


@given(
    st.sampled_from(FORMATS), st.sampled_from([8000, 22050, 48000]), st.integers(1, 3000), st.integers(1, 2)
)
def test_equals_libsndfile(tmp_path_factory, kind, rate, frames, channels) -> None:
    path = tmp_path_factory.mktemp("a") / f"a.{kind[0].lower()}"
    path.write_bytes(encoded(kind, frames, channels, rate))
    theirs, _ = soundfile.read(path, dtype="float32", always_2d=True)
    info, heard = look(path), hear(path)
    assert (info.frames, info.sample_rate, info.channels) == (len(theirs), rate, channels)
    assert info.duration_s == heard.duration_s == len(theirs) / rate
    # an MP3 decoder may add in another order when its buffer lies elsewhere
    np.testing.assert_allclose(heard.samples, theirs, atol=1e-7 * (kind[0] == "MP3"), rtol=0)
    assert heard.samples.dtype == np.float32
    assert heard.samples.flags.c_contiguous
    assert (heard.sample_rate, heard.facts) == (rate, ())


@pytest.mark.parametrize("kind", FORMATS)
def test_a_part_is_a_slice_of_the_whole(tmp_path: Path, kind: tuple[str, str]) -> None:
    path = tmp_path / "a"
    path.write_bytes(encoded(kind, channels=2))
    whole = hear(path).samples
    for start, most in [(0, 5000), (7000, 5000), (19_000, 5000), (123, 1)]:
        part = hear(path, start_s=start / 16_000, most_s=most / 16_000)
        np.testing.assert_allclose(part.samples, whole[start : start + most], atol=1e-6)
    with pytest.raises(AudioError, match=r"no samples at 2\.00 s"):
        hear(path, start_s=2.0)


@pytest.mark.parametrize(
    ("start_s", "most_s"), [(-1, 1), (float("nan"), 1), (float("inf"), 1), (0, 0), (0, float("nan"))]
)
def test_a_part_must_be_possible(start_s: float, most_s: float) -> None:
    with pytest.raises(AudioError, match="start_s is"):
        hear(io.BytesIO(encoded(("WAV", "PCM_16"))), start_s=start_s, most_s=most_s)


def test_long_files_of_many_channels_are_read_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    signal = noise(700_000, 3).astype(np.float32)
    soundfile.write(path, signal, 48_000)
    tracemalloc.start()
    heard = hear(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert heard.samples.nbytes == 700_000 * 3 * 4
    assert peak < heard.samples.nbytes + (1 << 20)
    np.testing.assert_allclose(heard.samples, signal, atol=1e-4)


@pytest.mark.parametrize("kind", [kind for kind in FORMATS if kind[0] != "OGG"])
def test_half_a_file_is_heard_with_a_fact(tmp_path: Path, kind: tuple[str, str]) -> None:
    path = tmp_path / "a"
    content = encoded(kind)
    path.write_bytes(content)
    whole = hear(path).samples
    path.write_bytes(content[: len(content) // 2])
    heard = hear(path)
    assert [fact.code for fact in heard.facts] == ["short_of_header"]
    assert 0.35 < len(heard.samples) / len(whole) < 0.55
    promised, held = map(float, re.findall(r"([0-9.]+) s", heard.facts[0].text)[:2])
    assert promised == pytest.approx(len(whole) / 16_000, abs=0.011)
    assert held == pytest.approx(heard.duration_s, abs=0.006)
    sure = len(heard.samples) - (1200 if kind[0] == "MP3" else 600)  # a cut block decodes to something else
    np.testing.assert_allclose(heard.samples[:sure], whole[:sure], atol=1e-6)
    with pytest.raises(AudioError, match="does not decode to its end"):
        digest(path)


@pytest.mark.parametrize("total", [0, (1 << 36) - 1, 150_000])
def test_the_length_of_a_flac_is_a_claim(tmp_path: Path, total: int) -> None:
    path = tmp_path / "a.flac"
    content = bytearray(encoded(("FLAC", "PCM_16"), 120_000))
    packed = int.from_bytes(content[18:26], "big")
    content[18:26] = (packed >> 36 << 36 | total).to_bytes(8, "big")
    path.write_bytes(content)
    if total >> 30:
        with pytest.raises(AudioError, match=r"the header promises 4,294,967 s; the [0-9,]+ bytes"):
            hear(path)
        with pytest.raises(AudioError, match="cannot hold them"):
            look(path)
        return
    heard = hear(path)
    np.testing.assert_allclose(heard.samples, noise(120_000), atol=1e-4)
    assert look(path).frames == (total or 120_000)
    assert [fact.code for fact in heard.facts] == ["short_of_header"] * (total > 0)


def test_a_damaged_flac_is_heard_up_to_the_damage(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    content = bytearray(encoded(("FLAC", "PCM_16")))
    content[20_000] ^= 255
    path.write_bytes(content)
    heard = hear(path)
    assert 4096 <= len(heard.samples) < 16_000
    np.testing.assert_allclose(heard.samples, noise(20_000)[: len(heard.samples)], atol=1e-4)
    assert [fact.code for fact in heard.facts] == ["short_of_header"]


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e30])
def test_samples_must_be_finite(tmp_path: Path, bad: float) -> None:
    path = tmp_path / "a.wav"
    signal = noise(1000).astype(np.float32)
    signal[7] = bad
    soundfile.write(path, signal, 16_000, subtype="FLOAT")
    wide = tmp_path / "wide.wav"
    soundfile.write(wide, np.where(np.arange(1000) == 7, 1e300, 0.0), 16_000, subtype="DOUBLE")
    for read in (hear, digest):
        with pytest.raises(AudioError, match="1 of 1000 samples are NaN, infinite or beyond 32-bit floats"):
            read(wide)
        with pytest.raises(AudioError, match=r"a\.wav: (1 of 1000 samples are NaN|samples reach 1e\+30)"):
            read(path)


@pytest.mark.parametrize("rate", [900, 0, 768_001, 2_000_000_000])
def test_the_message_says_which_rates_are_taken(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    content = bytearray(encoded(("WAV", "PCM_16")))
    struct.pack_into("<I", content, 24, rate)
    path.write_bytes(content)
    for read in (hear, look, digest):
        with pytest.raises(AudioError, match=r"expected 1,000 to 768,000 Hz|not readable as audio"):
            read(path)
    assert RATES == (1_000, 768_000)


@pytest.mark.parametrize("rate", [1_000, 15_949, 44_101, 768_000])
def test_odd_rates_are_just_read(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(encoded(("WAV", "PCM_16"), rate=rate))
    assert hear(path).sample_rate == look(path).sample_rate == rate


def test_too_many_channels(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    content = bytearray(encoded(("WAV", "PCM_16")))
    struct.pack_into("<H", content, 22, 65_535)
    path.write_bytes(content)
    with pytest.raises(AudioError, match="not readable as audio"):
        hear(path)


def test_cases(shared: Path) -> None:
    folder = shared / "cases" / "audio"
    seconds = {
        "gsm610.wav": 1.52,
        "half_of_a_wav.wav": 0.749,
        "half_of_an_mp3.mp3": 0.51,
        "half_of_an_ogg.ogg": 0.256,
        "length_never_written.wav": 1.5,
        "rate_15949.wav": 0.5016,
        "stereo_antiphase.wav": 1.5,
        "whole.wav": 1.5,
    }
    for name, duration_s in seconds.items():
        heard = hear(folder / name)
        assert heard.duration_s == pytest.approx(duration_s, abs=1e-3), name
        assert [fact.code for fact in heard.facts] == ["short_of_header"] * name.startswith("half"), name
    with pytest.raises(
        AudioError, match="the header promises 382,206 s; the 2,916 bytes of the file cannot hold"
    ):
        hear(folder / "mp3_claims_6e9_frames.mp3")


def test_real_files(shared: Path) -> None:
    paths = [*(shared / "data" / "speech_samples").rglob("*.wav"), *(shared / "data" / "p835").glob("*.flac")]
    assert len(paths) > 80
    for path in paths:
        if path.name == "invalid.wav":
            with pytest.raises(AudioError, match=r"invalid\.wav: not readable as audio"):
                look(path)
            continue
        theirs = soundfile.info(path)
        info = look(path)
        assert (info.frames, info.sample_rate, info.channels) == (
            theirs.frames,
            theirs.samplerate,
            theirs.channels,
        )


def test_digest_sees_samples_not_packing(tmp_path: Path) -> None:
    signal = np.random.default_rng(0).integers(-3000, 3000, 5000).astype(np.int16)
    for name in ("a.wav", "b.flac", "c.wav"):
        soundfile.write(tmp_path / name, signal, 16000, subtype="PCM_16")
    soundfile.write(tmp_path / "other.wav", signal[:-1], 16000)
    soundfile.write(tmp_path / "rate.wav", signal, 8000)
    digests = {path.name: digest(path)[1] for path in tmp_path.iterdir()}
    assert digests["a.wav"] == digests["b.flac"] == digests["c.wav"]
    assert len(set(digests.values())) == 3
