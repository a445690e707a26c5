"""The lag of a clip behind its reference: of real pairs, of copies that were moved, of what shares no waveform."""

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import soxr
from degrading import noise, speech_like, syllables
from sqa_data.labellers.alignment import lag


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("shift_s", [0.05, -0.05, 0.002, 0.9, 0.0])
def test_a_copy_that_was_moved(rate: int, shift_s: float) -> None:
    """To the sample: inverted, softer, with as much noise as speech."""
    shift = round(shift_s * rate)
    whole = speech_like(6, rate=rate)
    reference, copy = whole[rate:-rate], whole[rate - shift : len(whole) - rate - shift]
    mixture = -0.3 * (copy + np.std(copy) / 0.05 * noise(4, rate=rate))
    assert lag(reference, mixture.astype(np.float32), rate) == pytest.approx(shift / rate, abs=1e-9)


@pytest.mark.parametrize("at", [0, 5000, 16767, 16768, 33535, 33536, 47999])
@pytest.mark.parametrize("shift", [-8000, -20, 0, 20, 8000])
def test_a_single_click_anywhere(at: int, shift: int) -> None:
    """In a clip of several transforms none is lost between two of them."""
    reference, moved = np.zeros((2, 48_000), np.float32)
    reference[at] = 1
    if not 0 <= at + shift < len(moved):
        pytest.skip("moved out of the clip")
    moved[at + shift] = 1
    assert lag(reference, moved, 8000) == pytest.approx(shift / 8000, abs=1e-9)


def test_what_shares_no_waveform_is_placed_by_its_envelope() -> None:
    """Noise in the rhythm of the speech, as of a vocoder: within a frame."""
    speech = syllables(4) * np.repeat([1.0, 0.2, 0.6, 0.4, 1.0, 0.1, 0.5, 0.9], 8000)
    rhythm = np.abs(speech) * noise(4)
    assert lag(speech, rhythm, 16000) == 0
    assert lag(speech[1600:], rhythm[:-1600], 16000) == pytest.approx(0.1, abs=0.004)


def test_two_clips_that_have_nothing_in_common() -> None:
    assert lag(noise(2, seed=1), noise(2, seed=2), 16000) is None
    assert lag(np.ones(3), np.zeros(3), 16000) is None


def test_real_pairs(shared: Path) -> None:
    """Noisy pairs and Opus are in time, babble as loud as the talker; those of PLCMOS start later, 120 and 145 ms."""
    folder = shared / "data" / "speech_samples"
    known = {
        ("pesq_pair/speech.wav", "pesq_pair/speech_bab_0dB.wav"): 0,
        ("scoreq_pair/ref.wav", "scoreq_pair/opus.wav"): 0,
        ("noizeus_assets/sp05.flac", "noizeus_assets/sp05_casino_sn-5.flac"): 0,
        ("plcmos_examples/clean.wav", "plcmos_examples/plc_good.wav"): 0.120,
        ("plcmos_examples/clean.wav", "plcmos_examples/plc_poor.wav"): 0.145,
    }
    for names, expected in known.items():
        (one, rate), (other, _) = (sf.read(folder / name, dtype="float32") for name in names)
        length = min(len(one), len(other))
        found = lag(one[:length], other[:length], rate)
        assert found == pytest.approx(expected, abs=0.0005), names


def test_a_room_does_not_move_the_speech() -> None:
    """Later reflections of an exponential tail, .5 s long, are together stronger than the direct sound."""
    speech, rng = speech_like(4), np.random.default_rng(0)
    response = 0.06 * rng.standard_normal(8000) * 10 ** (-3 * np.arange(8000) / 8000)
    response[0] = 1
    reverberant = np.convolve(speech, response)[: len(speech)]
    found = lag(speech, reverberant, 16000)
    assert found is None or abs(found) < 0.002


def test_an_odd_rate(shared: Path) -> None:
    speech, rate = sf.read(shared / "data" / "speech_samples" / "pesq_pair" / "speech.wav")
    odd = soxr.resample(speech, rate, 15949)
    assert lag(odd[500:], odd[:-500], 15949) == pytest.approx(500 / 15949)
