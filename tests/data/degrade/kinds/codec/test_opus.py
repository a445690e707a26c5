"""Opus: what the next packet says of a lost one is used."""

import numpy as np
from coding import code, snr_db
from degrading import RATE, speech_like
from sqa_data.degrade.kinds.codec.opus import CODERS


def test_error_correction_gives_back_what_was_lost() -> None:
    x = speech_like(3.0)
    lost = np.zeros(150, bool)
    lost[11::7] = True
    kept = [code(CODERS[name], 24.0, lost, x)[0] for name in ("opus", "opus-fec")]
    whole = [code(CODERS[name], 24.0, x=x)[0] for name in ("opus", "opus-fec")]
    gone = np.repeat(lost, RATE // 50)
    blind, corrected = (snr_db(w[gone], k[gone]) for w, k in zip(whole, kept, strict=True))
    assert corrected > blind + 2
