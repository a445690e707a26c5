"""Length, rate and samples of a sound file. A size in a header is a claim until the bytes bear it out.

What is read is what is there: block by block, so that no claim is ever allocated, and with a fact where the header
promised more. What decodes up to some damage is kept up to it. MP3 is never entered in the middle: its decoder needs
what came before, and says so on stderr.
"""

import hashlib
import math
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import soundfile

from sqa_data.audio import mp3, ogg
from sqa_data.audio.decoder import Decoder, Splice, decoding, reason_of
from sqa_data.audio.facts import Fact
from sqa_data.audio.headers import Header, flac_info, read_header
from sqa_data.audio.source import Opened, Source, opened
from sqa_data.errors import AudioError

RATES = (1_000, 768_000)  # Hz: outside, the number is a mistake
LOUDEST = 2.0**32  # samples beyond the range of any integer are no sound
BLOCK = 1 << 20  # samples that are decoded at a time
# frames that a byte can hold: a silent FLAC or Ogg of long blocks thousands, an MP3 of 8 kbit/s 24
DENSEST = {"FLAC": 8192, "OGG": 8192, "CAF": 8192, "MP3": 100}
DENSE = 16  # of any other format
SLIGHT_S = 0.01  # writers are known to count the header, or a codec's delay
UNKNOWN = 1 << 40  # frames: such claims mean that the header does not say


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What a header says, so far as the file can hold it."""

    frames: int  # samples per channel
    sample_rate: int  # Hz
    channels: int = 1

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return self.frames / self.sample_rate


@dataclass(frozen=True, eq=False)
class Heard:
    """What a source holds, as far as it was asked for."""

    samples: np.ndarray  # (frames, channels) float32, full scale = 1
    sample_rate: int  # Hz
    facts: tuple[Fact, ...] = ()  # about the file; `signal_facts` says those about the signal

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return len(self.samples) / self.sample_rate


@dataclass(slots=True)
class _Sound:
    """An open source and its decoder."""

    opened: Opened
    file: Decoder
    header: Header | None
    frames: int | None  # that the file promises to decode to; None if nobody knows
    broken: str = ""  # what stopped the decoder before the end


def look(source: Source) -> AudioInfo:
    """Length, rate and channels, from the header wherever it says them.

    FLAC and plain PCM WAV are read from their first bytes, several times faster than libsndfile does it; all else, and
    whatever looks odd (a size in the header that is not the file's), is libsndfile's to judge.

    Raises `AudioError`: no regular file, not audio, a length that the file cannot hold.
    """
    with opened(source) as sound:
        info = _at_a_glance(sound)
        if info is not None:
            return info
        with _decoder(sound) as found:
            frames, file = found.frames, found.file
            if frames is None:
                frames = sum(len(block) for block in _blocks(found))
            return AudioInfo(frames, file.samplerate, file.channels)


def hear(source: Source, *, start_s: float = 0.0, most_s: float = math.inf) -> Heard:
    """Decode an audio source, or the part of at most `most_s` seconds that starts at `start_s`.

    Only the part is decoded where the format can seek. A file object is read from its start and left where it stood;
    one that cannot seek is read into memory. A file that ends before its header says, or is damaged further on, gives
    what it holds and a fact `short_of_header`.

    Raises `AudioError`: no regular file, not audio, no samples (in the part), samples that are not finite, a length
    that the file cannot hold.
    """
    if not 0 <= start_s < math.inf or not most_s > 0:
        raise AudioError(
            f"start_s is {start_s}, most_s {most_s}; expected at least 0 and more than 0 seconds"
        )
    with opened(source) as sound, _decoder(sound) as found:
        where, rate = sound.where, found.file.samplerate
        start = round(start_s * rate)
        most = None if math.isinf(most_s) else max(1, round(most_s * rate))
        if start:
            _go_to(found, start)
        try:
            samples = _read(found, start, most)
        except MemoryError as error:
            raise AudioError(
                f"{where}does not fit into memory; ask for a part of it (start_s, most_s)"
            ) from error
        if len(samples) == 0:
            reason = f"not readable as audio: {found.broken}" if found.broken else "no samples"
            raise AudioError(f"{where}{reason}")
        _check_finite(samples, where)
        to_the_end = most is None or len(samples) < most
        return Heard(samples, rate, _facts(found, start + len(samples) if to_the_end else None))


def digest(path: str | os.PathLike[str]) -> tuple[AudioInfo, str]:
    """Decode a whole file: its true length, and a hash of its samples that no re-packing changes.

    The same 16-bit signal in WAV and in FLAC has one digest. Raises `AudioError` as `hear` does, and where the file
    does not decode to the end that its header promises.
    """
    hashed = hashlib.blake2b(digest_size=16)
    frames = 0
    with opened(path) as sound, _decoder(sound) as found:
        rate, channels = found.file.samplerate, found.file.channels
        hashed.update(struct.pack("<II", rate, channels))
        for block in _blocks(found):
            _check_finite(block, sound.where)
            hashed.update(block.data)
            frames += len(block)
        for fact in _facts(found, frames):
            raise AudioError(f"{sound.where}does not decode to its end: {fact.text}")
    return AudioInfo(frames, rate, channels), hashed.hexdigest()


def _at_a_glance(sound: Opened) -> AudioInfo | None:
    """What FLAC and plain WAV say in their first bytes, if it is in order."""
    flac = flac_info(sound.head)
    if flac is not None:
        frames, rate, channels = flac
        if frames and RATES[0] <= rate <= RATES[1] and frames <= DENSEST["FLAC"] * sound.size:
            return AudioInfo(frames, rate, channels)
        return None
    header = read_header(sound) if sound.head[:4] == b"RIFF" else None
    if header is None or header.pcm is None or header.promised is None or header.is_short:
        return None
    rate, channels, frame_bytes = header.pcm
    if header.promised % frame_bytes or not RATES[0] <= rate <= RATES[1]:
        return None
    return AudioInfo(header.promised // frame_bytes, rate, channels)


@contextmanager
def _decoder(sound: Opened) -> Iterator[_Sound]:
    """A decoder whose rate and length are possible."""
    header = read_header(sound)
    with decoding(sound, _mended(sound, header)) as file:
        rate, frames = file.samplerate, file.frames
        if not RATES[0] <= rate <= RATES[1]:
            raise AudioError(
                f"{sound.where}sampling rate is {rate:,} Hz; expected {RATES[0]:,} to {RATES[1]:,} Hz"
            )
        is_known = frames < UNKNOWN and not (file.format == "MP3" and mp3.is_guess(sound))
        if is_known and frames > DENSEST.get(file.format, DENSE) * sound.size:
            raise AudioError(
                f"{sound.where}not readable as audio: the header promises {frames / rate:,.0f} s; "
                f"the {sound.size:,} bytes of the file cannot hold them"
            )
        yield _Sound(sound, file, header, frames if is_known else None)


def _mended(sound: Opened, header: Header | None) -> Splice | None:
    """What has to be put right in a file before libsndfile reads all that is there."""
    if header is not None:
        return header.mended
    if ogg.is_ogg(sound):
        return ogg.shortened(sound)
    return mp3.with_length(sound) if mp3.is_mp3(sound) else None


def _go_to(found: _Sound, start: int) -> None:
    """Move the decoder to frame `start`."""
    rate = found.file.samplerate
    beyond = f"{found.opened.where}no samples at {start / rate:.2f} s"
    if found.frames is not None and start >= found.frames:
        raise AudioError(f"{beyond}; the file holds {found.frames / rate:.2f} s")
    if found.file.can_seek():
        try:
            found.file.seek(start)
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{beyond}: {reason_of(error)}") from error
        return
    for block in _blocks(found, most=start):
        start -= len(block)
    if start:
        raise AudioError(beyond)


def _read(found: _Sound, start: int, most: int | None) -> np.ndarray:
    """(frames, channels) from where the decoder stands.

    The array grows as samples come, at first by blocks: a promise costs nothing until it is kept.
    """
    channels = found.file.channels
    block = max(1, BLOCK // channels)
    goal = math.inf if found.frames is None else found.frames - start
    goal = goal if most is None else min(goal, most)
    samples = np.empty((int(min(goal, block)), channels), np.float32)
    count = 0
    while count < goal:
        if count == len(samples):
            samples.resize((int(min(goal, 2 * count)), channels), refcheck=False)
        got = _fill(found, samples[count : count + block])
        count += got
        if found.broken or not got:
            break
    if count < len(samples):
        samples.resize((count, channels), refcheck=False)
    return samples


def _blocks(found: _Sound, most: float = math.inf) -> Iterator[np.ndarray]:
    """(frames, channels) parts, one buffer used again and again, up to the end, `most` frames, or damage."""
    channels = found.file.channels
    left = most if found.frames is None else min(most, found.frames)
    buffer = np.empty((int(min(left, max(1, BLOCK // 2 // channels))), channels), np.float32)
    while left > 0 and not found.broken:
        got = _fill(found, buffer[: int(min(left, len(buffer)))])
        if not got:
            break
        left -= got
        yield buffer[:got]


def _fill(found: _Sound, part: np.ndarray) -> int:
    """Decode into `part` and say how many frames came; what breaks the decoder is kept in `found.broken`.

    soundfile does not say how much came before an error, so what was not written is told by its NaN.
    """
    part.fill(np.nan)
    try:
        return int(found.file.buffer_read_into(part, "float32"))
    except soundfile.LibsndfileError as error:
        found.broken = reason_of(error)
        untouched = np.isnan(part[:, -1])
        return int(untouched.argmax()) if untouched.any() else len(part)


def _check_finite(samples: np.ndarray, where: str) -> None:
    low, high = float(samples.min()), float(samples.max())
    if low > -LOUDEST and high < LOUDEST:  # false of NaN too
        return
    bad = samples.size - int(np.count_nonzero(np.isfinite(samples)))
    if bad:
        raise AudioError(f"{where}{bad} of {samples.size} samples are NaN, infinite or beyond 32-bit floats")
    raise AudioError(f"{where}samples reach {max(-low, high):.3g}; full scale is 1")


def _facts(found: _Sound, frames: int | None) -> tuple[Fact, ...]:
    """Whether the file holds less than its header promises; `frames`: it does hold, if it was read to its end."""
    rate, header = found.file.samplerate, found.header
    held: float = (frames if frames is not None else found.frames or 0) / rate
    promised = held
    if header is not None and header.is_short and header.there:
        promised = held * (header.promised or 0) / header.there
    elif frames is not None and found.frames is not None:
        promised = max(held, found.frames / rate)
    reason = f" ({found.broken})" if found.broken else ""
    if frames is not None and ogg.is_ogg(found.opened) and not ogg.ends(found.opened):
        text = f"the stream ends after {held:.2f} s without its end mark{reason}"
    elif promised > held + SLIGHT_S:
        text = f"the header promises {promised:.2f} s, the file holds {held:.2f} s{reason}"
    elif found.broken:
        text = f"the file cannot be decoded after {held:.2f} s{reason}"
    else:
        return ()
    return (Fact("short_of_header", text),)
