"""Codecs of FFmpeg: those of telephones, of Bluetooth, of broadcasting and of the early web."""

from collections.abc import Callable
from functools import partial
from typing import Any

from sqa_data.degrade.ffmpeg import Encoder, code, missing
from sqa_data.degrade.kind import NARROW, Act, Family, Kind
from sqa_data.degrade.kinds.codec.ways import Coded, by_bits, by_rate, tandem
from sqa_data.degrade.signal import Samples


def _kind(encoder: Encoder, way: Callable[..., Act], *how: Any) -> Kind:
    mildest = NARROW if how[0] == (8000,) else ""
    return Kind(
        Family.CODEC, way(partial(code, encoder), *how), lambda _: missing(encoder=encoder.name), mildest
    )


def _sbc(samples: Samples, rate: int, kbps: float) -> Coded:
    """SBC with as many bits a sample as `kbps` are at 16 kHz, as a Bluetooth headset asks for by its bitpool."""
    return code(SBC, samples, rate, kbps * rate / 16_000)


AAC = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
FALLING = (44100, 22050, 16000, 11025, 8000)
BLUETOOTH = (16000, 32000, 44100, 48000)
SBC = Encoder("sbc", 60, "sbc")

KINDS = {
    "g723": _kind(Encoder("g723_1", 6.3), tandem, (8000,)),
    "g726": _kind(Encoder("g726", 40), by_bits, (8000,), (40, 32, 24, 16)),
    "adpcm": _kind(Encoder("adpcm_ima_wav"), by_rate, FALLING),
    "realaudio": _kind(Encoder("real_144", 8, "rm"), tandem, (8000,)),  # of 1995, "14.4"
    "nellymoser": _kind(Encoder("nellymoser", container="flv"), by_rate, FALLING),  # of Flash
    "aac": _kind(Encoder("aac", 32), by_bits, AAC, (64, 48, 32, 24, 20, 16, 12, 10, 8)),
    # MPEG-2, at whose rates there are bit rates for speech
    "mp2": _kind(Encoder("mp2", 64), by_bits, (16000, 22050, 24000), (64, 48, 32, 24, 16, 8)),
    "wma": _kind(Encoder("wmav2", 24), by_bits, (16000, 22050, 32000, 44100), (64, 48, 40, 32, 24)),
    "sbc": Kind(
        Family.CODEC,
        by_bits(_sbc, BLUETOOTH, (60, 46, 36, 28, 22, 17, 14)),
        lambda _: missing(encoder="sbc"),
    ),
    "aptx": _kind(Encoder("aptx", None, "aptx", "stereo"), tandem, BLUETOOTH, 8),
}
