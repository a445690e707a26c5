"""Enhancers, a module a source: adding one is one module and its name in `SOURCES`."""

from sqa_data.degrade.kind import Kind
from sqa_data.degrade.kinds.enhancer import filters, libraries, networks, packages, textbook

SOURCES = (textbook, networks, libraries, packages, filters)

KINDS: dict[str, Kind] = {name: kind for source in SOURCES for name, kind in source.KINDS.items()}
