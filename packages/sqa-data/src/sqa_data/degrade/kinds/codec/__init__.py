"""Codecs, a module a source: adding one is one module and its name in `SOURCES`."""

from sqa_data.degrade.kind import Kind
from sqa_data.degrade.kinds.codec import amr, bluetooth, codec2, ffmpeg, itu, lc3, lyra, soundfile, speex

SOURCES = (soundfile, amr, speex, lc3, itu, bluetooth, ffmpeg, codec2, lyra)

KINDS: dict[str, Kind] = {name: kind for source in SOURCES for name, kind in source.KINDS.items()}
