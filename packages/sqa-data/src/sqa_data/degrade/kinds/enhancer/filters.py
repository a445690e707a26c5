"""Denoisers of FFmpeg: what editors and batch jobs clean their audio with."""

from collections.abc import Callable

from sqa_data.degrade.ffmpeg import filtered, missing
from sqa_data.degrade.kind import Family, Kind, Settings, World
from sqa_data.degrade.signal import Samples


def _kind(name: str, settings: Callable[[float], Settings]) -> Kind:
    """A filter of FFmpeg by its name and, of a severity, its options by FFmpeg's names of them."""

    def act(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
        options = settings(severity)
        written = ":".join(f"{option}={value}" for option, value in options.items())
        return filtered(x, world.rate, (name, written)), options

    return Kind(Family.ENHANCER, act, lambda _: missing(filters=(name,)))


def _afftdn(severity: float) -> Settings:
    """Spectral subtraction: `nr`, by how many dB it lowers noise; `nf`, the level in dB that it takes for noise."""
    return {"nr": round(6 * (97 / 6) ** severity, 2), "nf": round(-50 + 30 * severity, 2)}


def _anlmdn(severity: float) -> Settings:
    """Non-local means: `s`, its strength."""
    return {"s": round(1e-4 * 10 ** (7 * severity), 6)}


KINDS = {"afftdn": _kind("afftdn", _afftdn), "anlmdn": _kind("anlmdn", _anlmdn)}
