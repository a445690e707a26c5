"""Speech made anew from few numbers, as vocoders and weak generative systems do, a module an idea."""

from sqa_data.degrade.kind import Kind
from sqa_data.degrade.kinds.synthesis import phase, vocoder

SOURCES = (phase, vocoder)

KINDS: dict[str, Kind] = {name: kind for source in SOURCES for name, kind in source.KINDS.items()}
