"""Codecs of libsndfile."""

import io
from typing import Any

import soundfile as sf

from sqa_data.degrade.kind import NARROW, Act, Family, Kind, Settings, World
from sqa_data.degrade.kinds.codec.ways import Code, Coded, carried, coding_rate, quiet, tandem
from sqa_data.degrade.signal import Samples, align
from sqa_data.errors import DataError

DELAY_S = 0.25  # the longest that a codec's delay is looked for


def encode(
    speech: Samples,
    rate: int,
    container: str,
    subtype: str,
    compression: float | None = None,
    at: int | None = None,
) -> tuple[Samples, float]:
    """Through a libsndfile codec and back, aligned to the input; with the bit rate it took (kbit/s).

    `compression`: 0 (best) to 1 (smallest), libsndfile's compression level (MP3 at a constant bit rate). `at`: the
    rate in Hz that it codes at (default: the speech's own). Of an Ogg file the headers do not count.
    """
    if subtype not in sf.available_subtypes() or container not in sf.available_formats():
        raise DataError(
            f"this libsndfile ({sf.__libsndfile_version__}) has no {container}/{subtype}; "
            "pip install soundfile>=0.13"
        )
    options: dict[str, Any] = {}
    if compression is not None:
        options = {"compression_level": compression}
        if subtype == "MPEG_LAYER_III":
            options["bitrate_mode"] = "CONSTANT"

    def code(speech: Samples, at: int) -> Coded:
        buffer = io.BytesIO()
        sf.write(buffer, speech, at, format=container, subtype=subtype, **options)
        sound = audio_bytes(buffer.getvalue()) if container == "OGG" else buffer.tell()
        buffer.seek(0)
        decoded = sf.read(buffer, dtype="float64")[0]
        return align(decoded, speech, round(DELAY_S * at)), sound * 8 / (len(speech) / at) / 1000

    return carried(speech, rate, at or rate, code)


def audio_bytes(ogg: bytes) -> int:
    """How many bytes of an Ogg stream are packets of sound: pages of headers have the position 0 (RFC 3533)."""
    at = total = 0
    while at < len(ogg):
        segments = ogg[at + 26]
        size = sum(ogg[at + 27 : at + 27 + segments])
        if any(ogg[at + 6 : at + 14]):
            total += size
        at += 27 + segments + size
    return total


def _compressed(container: str, subtype: str, mildest: float, span: float, rates: tuple[int, ...]) -> Act:
    def act(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        at = coding_rate(rates, world.rate)
        y, kbps = encode(x, world.rate, container, subtype, mildest + span * severity, at)
        return y, {"kbps": kbps, "rate_hz": at}

    return act


def _wav(subtype: str) -> Code:
    return lambda speech, at: encode(speech, at, "WAV", subtype)


OPUS = (8000, 12000, 16000, 24000, 48000)
MP3 = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

KINDS = {
    "opus": Kind(Family.CODEC, _compressed("OGG", "OPUS", 0.8, 0.2, OPUS)),
    "mp3": Kind(Family.CODEC, _compressed("MP3", "MPEG_LAYER_III", 0.6, 0.37, MP3)),
    "vorbis": Kind(Family.CODEC, _compressed("OGG", "VORBIS", 0.5, 0.5, MP3)),
    "gsm": Kind(Family.CODEC, tandem(_wav("GSM610"), (8000,)), mildest=NARROW),
    "mu-law": Kind(Family.CODEC, quiet(_wav("ULAW"), 8000), mildest=NARROW),
    "a-law": Kind(Family.CODEC, quiet(_wav("ALAW"), 8000), mildest=NARROW),
}
