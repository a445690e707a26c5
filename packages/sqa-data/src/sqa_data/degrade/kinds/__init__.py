"""Every kind of degradation, a module a family, and those of other installed packages (`plugins`).

Adding a kind is one function and one line in its module's `KINDS`.
"""

from sqa_data.degrade.kind import Kind
from sqa_data.degrade.kinds import (
    band,
    capture,
    codec,
    edges,
    enhancer,
    network,
    noise,
    playback,
    plugins,
    room,
    synthesis,
)

FAMILIES = (room, noise, capture, enhancer, synthesis, band, codec, network, playback, edges)

KINDS: dict[str, Kind] = {name: kind for module in FAMILIES for name, kind in module.KINDS.items()}
KINDS |= plugins.installed(KINDS)

HELD_OUT_KINDS = ("babble", "gate", "gsm", "loss-pitch")  # by default only in the test split

ONLY_IF_NAMED = tuple(edges.KINDS)  # they change the length: no preset draws them by itself
