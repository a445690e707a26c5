"""Bluetooth: CVSD by the letter of the specification; mSBC as ffmpeg decodes it."""

import math

import numpy as np
import pytest
from coding import ours_and_ffmpegs, snr_db
from degrading import apply, power_db, speech_like
from sqa_data.degrade.kinds.codec.bluetooth import CVSD_RATE, MSBC, follow


def by_the_letter(x: list[float]) -> tuple[list[int], list[float]]:
    """Equations 1 to 6 of volume 2, part B, 9.2 of the core specification, a variable for each symbol."""
    h, beta, delta_min, delta_max, y_max, y_min, j, k = (
        31 / 32,
        1023 / 1024,
        10,
        1280,
        2**15 - 1,
        1 - 2**15,
        4,
        4,
    )
    bits, estimates, x_hat, delta = [], [], 0.0, float(delta_min)
    for sample in x:
        bits.append(1 if sample - x_hat >= 0 else -1)
        recent = bits[-k:]
        alpha = len(recent) == k and abs(sum(recent)) >= j
        delta = min(delta + delta_min, delta_max) if alpha else max(beta * delta, delta_min)
        y_hat = x_hat + bits[-1] * delta
        x_hat = h * (min(y_hat, y_max) if y_hat >= 0 else max(y_hat, y_min))
        estimates.append(x_hat)
    return bits, estimates


def test_cvsd_is_what_the_specification_says() -> None:
    for level in (300, 5000, 32_767):  # the loudest overloads the slope
        x = (level * np.sin(2 * np.pi * 800 / CVSD_RATE * np.arange(6400))).tolist()
        bits, heard = follow(x)
        wanted, estimates = by_the_letter(x)
        assert (np.where(bits, 1, -1) == wanted).all()
        np.testing.assert_array_equal(heard, estimates)


def test_the_decoder_hears_what_the_encoder_heard() -> None:
    bits, heard = follow((8000 * np.sin(np.arange(9000) * 0.05)).tolist())
    again, decoded = follow(np.where(bits, math.inf, -math.inf).tolist())
    assert (again == bits).all()
    np.testing.assert_array_equal(decoded, heard)


def test_bit_errors_are_told() -> None:
    x = speech_like(1.0)
    y, step = apply("cvsd", x, 1.0)
    assert step["bit_errors"] == pytest.approx(0.05, rel=0.1)
    clear, mild = apply("cvsd", x, 0.0)
    assert mild["bit_errors"] < 0.001
    assert power_db(y - x) > power_db(clear - x) + 6


def test_another_decoder_hears_the_same_msbc() -> None:
    ours, theirs = ours_and_ffmpegs(MSBC, 60.8, "sbc", b"")
    assert snr_db(ours, theirs) > 30
