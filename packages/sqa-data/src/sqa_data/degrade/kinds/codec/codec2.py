"""Codec 2, the vocoder of digital radio amateurs, by its own programs.

Its library draws the phases of unvoiced sounds from a state of the process; only a program of its own gives the same
samples again.
"""

import shutil
import subprocess

import numpy as np

from sqa_data.degrade.kind import NARROW, Family, Kind, Settings, Surroundings, World
from sqa_data.degrade.kinds.codec.ways import Coded, carried, step
from sqa_data.degrade.signal import Samples, fit
from sqa_data.errors import DataError

RATE = 8000  # Hz
TIMEOUT_S = 60
PROGRAMS = ("c2enc", "c2dec")

# mode, from the mildest to the worst: bit rate in kbit/s, and samples by which the envelope of speech is late (measured
# with 40 clips; the waveform is not kept)
MODES = {
    "3200": (3.2, 133),
    "2400": (2.4, 133),
    "1600": (1.6, 133),
    "1200": (1.2, 133),
    "700C": (0.7, 212),
}


def missing(around: Surroundings) -> str | None:
    """Why it cannot run here, in a few words; None if it can."""
    absent = [program for program in PROGRAMS if shutil.which(program) is None]
    return f"needs the program {absent[0]}: apt-get install codec2" if absent else None


def code(mode: str, samples: Samples) -> Coded:
    """Speech at 8 kHz through the encoder and the decoder, in time; with the bit rate in kbit/s."""
    kbps, delay = MODES[mode]
    pcm = np.round(np.clip(np.pad(samples, (0, RATE // 10)), -1, 1) * 32767).astype("<i2").tobytes()
    decoded = np.frombuffer(_run("c2dec", mode, _run("c2enc", mode, pcm)), "<i2") / 32768
    return fit(decoded[delay:], len(samples)), kbps


def _run(program: str, mode: str, data: bytes) -> bytes:
    """What a program writes about what it reads."""
    try:
        ran = subprocess.run(
            [program, mode, "-", "-"], input=data, capture_output=True, timeout=TIMEOUT_S, check=True
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines() or ["nothing"]
        raise DataError(
            f"{program} {mode} ended with status {error.returncode} and said {said[-1]!r}"
        ) from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DataError(f"{program} {mode} cannot run: {error}; apt-get install codec2") from error
    return ran.stdout


def _codec2(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    mode = step(tuple(MODES), severity)
    y, kbps = carried(x, world.rate, RATE, lambda speech, _: code(mode, speech))
    return y, {"kbps": kbps, "mode": mode}


KINDS = {"codec2": Kind(Family.CODEC, _codec2, missing, NARROW)}
