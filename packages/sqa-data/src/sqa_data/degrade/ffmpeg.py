"""FFmpeg's codecs and filters in this process, by PyAV: samples in, samples out; no program, no temporary file."""

import functools
import io
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from types import ModuleType
from typing import Any

import numpy as np
import scipy.signal

from sqa_data.degrade.signal import Samples, align, fit
from sqa_data.errors import DataError

INSTALL = "pip install 'sqa-data[degrade-ffmpeg]'"
DELAY_S = 0.1  # the longest of filters


@dataclass(frozen=True)
class Encoder:
    """An encoder of FFmpeg, and the container in which the decoder is told what it must know."""

    name: str  # FFmpeg's
    kbps: float | None = None  # with which its delay is measured (default: the encoder's own)
    container: str = "avi"
    layout: str = "mono"  # of "stereo" each channel is given the speech, and the first is taken


@dataclass(frozen=True)
class _Stream:
    """What an encoder made of samples."""

    file: io.BytesIO
    lead: int  # samples of silence before the speech
    kbps: float  # of a channel, by its packets


def missing(*, encoder: str = "", filters: tuple[str, ...] = ()) -> str | None:
    """Why an encoder or filters cannot be used here, in a few words; None if they can."""
    encoders, known = _inside()
    if not encoders:
        return f"needs PyAV: {INSTALL}"
    absent = [name for name in filters if name not in known]
    if encoder and encoder not in encoders:
        absent.append(encoder)
    return f"this FFmpeg has no {' and no '.join(absent)}: {INSTALL} brings one that has" if absent else None


def code(encoder: Encoder, samples: Samples, rate: int, kbps: float | None = None) -> tuple[Samples, float]:
    """Through a codec and back, in time, as long as before; with the bit rate of the packets in kbit/s.

    Args:
        encoder: encoder and container.
        samples: (samples,) within full scale.
        rate: in Hz, one that the codec can work at.
        kbps: bit rate to ask for (default: the encoder's).

    Raises:
        DataError: FFmpeg is absent or refuses.
    """
    stream, decoded = _round_trip(encoder, samples, rate, kbps or encoder.kbps)
    start = stream.lead + _delay(encoder, rate)
    return fit(decoded[start:], len(samples)), stream.kbps


def filtered(samples: Samples, rate: int, *filters: tuple[str, str]) -> Samples:
    """Through a chain of FFmpeg's audio filters that keep the waveform: in time, as long as before.

    Args:
        samples: (samples,) float64.
        rate: in Hz.
        filters: name and arguments of each, such as ("afftdn", "nr=20:nf=-40").

    Raises:
        DataError: FFmpeg is absent or refuses.

    A delay of up to 0.1 s is undone, as cross-correlation finds it.

    >>> filtered(np.full(1600, 0.5), 16000, ("volume", "volume=0.5"))[:3]
    array([0.25, 0.25, 0.25])
    """
    av, reach = _pyav(), round(DELAY_S * rate)
    try:
        graph = av.filter.Graph()
        source = graph.add_abuffer(sample_rate=rate, format="fltp", layout="mono", time_base=_tick(rate))
        chain = [source, *(graph.add(*each) for each in filters), graph.add("aformat", "sample_fmts=fltp")]
        graph.link_nodes(*chain, graph.add("abuffersink")).configure()
        graph.push(_frame(av, fit(samples, len(samples) + reach), rate, "mono"))
        graph.push(None)
        pieces = [_first_channel(piece) for piece in _pulled(av, graph)]
    except (av.FFmpegError, ValueError) as error:
        raise DataError(f"FFmpeg refuses the filters {filters} at {rate} Hz: {_words(error)}") from error
    return align(np.concatenate([np.zeros(0), *pieces]), samples, reach)


def _round_trip(encoder: Encoder, samples: Samples, rate: int, kbps: float | None) -> tuple[_Stream, Samples]:
    av = _pyav()
    try:
        stream = _encode(av, encoder, samples, rate, kbps)
        with av.open(stream.file, format=encoder.container) as file:
            pieces = [_first_channel(frame) for frame in file.decode(audio=0)]
    except (av.FFmpegError, ValueError) as error:
        asked = f"{rate} Hz" + (f", {kbps:g} kbit/s" if kbps else "")
        raise DataError(f"FFmpeg's {encoder.name} refuses {asked}: {_words(error)}") from error
    return stream, np.concatenate([np.zeros(0), *pieces])


def _encode(av: ModuleType, encoder: Encoder, samples: Samples, rate: int, kbps: float | None) -> _Stream:
    """Whole frames of the encoder: one of silence, the speech, and silence until what is delayed has come out."""
    buffer, size = io.BytesIO(), 0
    with av.open(buffer, "w", format=encoder.container) as file:
        stream = file.add_stream(
            encoder.name, rate=rate, layout=encoder.layout, options={"flags": "+bitexact"}
        )
        if kbps:
            stream.bit_rate = round(1000 * kbps)
        stream.codec_context.open()
        lead = stream.codec_context.frame_size or rate // 50
        frames = 3 + len(samples) // lead
        whole = fit(np.concatenate([np.zeros(lead), samples]), frames * lead)
        for packet in (*stream.encode(_frame(av, whole, rate, encoder.layout)), *stream.encode(None)):
            size += packet.size
            file.mux(packet)
        channels = len(stream.codec_context.layout.channels)
    buffer.seek(0)
    return _Stream(buffer, lead, size * 8 / 1000 / (len(whole) / rate) / channels)


@functools.cache
def _delay(encoder: Encoder, rate: int) -> int:
    """Samples by which the decoder is late, without the lead: measured with noise, whichever FFmpeg this is."""
    noise = 0.1 * np.random.default_rng(1).standard_normal(rate // 2)
    noise = scipy.signal.lfilter([0.3], [1, -0.7], noise)
    stream, decoded = _round_trip(encoder, noise, rate, encoder.kbps)
    match = scipy.signal.correlate(decoded, noise, mode="full", method="fft")
    return int(np.argmax(match)) - (len(noise) - 1) - stream.lead


def _frame(av: ModuleType, samples: Samples, rate: int, layout: str) -> Any:
    channels = len(av.AudioLayout(layout).channels)
    planes = np.tile(samples.astype(np.float32), (channels, 1))
    frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=layout)
    frame.sample_rate, frame.time_base, frame.pts = rate, _tick(rate), 0
    return frame


def _first_channel(frame: Any) -> Samples:
    """(samples,) float64 of a frame of whatever format, full scale = 1."""
    values = frame.to_ndarray()
    channel = values[0] if frame.format.is_planar else values.reshape(-1, len(frame.layout.channels))[:, 0]
    whole = 1 if channel.dtype.kind == "f" else 2.0 ** (8 * channel.dtype.itemsize - 1)
    middle = whole if channel.dtype.kind == "u" else 0
    scaled: Samples = (channel.astype(np.float64) - middle) / whole
    return scaled


def _pulled(av: ModuleType, graph: Any) -> Iterator[Any]:
    """The frames that have come out of a graph."""
    while True:
        try:
            yield graph.pull()
        except (av.EOFError, av.BlockingIOError):
            return


def _words(error: Exception) -> str:
    """What FFmpeg says, without what PyAV adds."""
    return str(getattr(error, "strerror", None) or error)


def _tick(rate: int) -> Fraction:
    return Fraction(1, rate)


def _pyav() -> ModuleType:
    try:
        import av
        import av.filter
    except ImportError as error:
        raise DataError(f"FFmpeg's codecs and filters need PyAV: {INSTALL}") from error
    return av


@functools.cache
def _inside() -> tuple[frozenset[str], frozenset[str]]:
    """The encoders and filters of this FFmpeg; none without PyAV. Asked once a process."""
    try:
        av = _pyav()
    except DataError:
        return frozenset(), frozenset()
    return frozenset(av.codec.codecs_available), frozenset(av.filter.filters_available)
