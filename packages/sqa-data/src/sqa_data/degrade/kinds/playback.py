"""The last stretch before the ear: level."""

from sqa_data.degrade.kind import Family, Kind, Settings, World
from sqa_data.degrade.signal import Samples, level_dbfs, set_level


def _level(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    dbfs = -26 - 34 * severity if world.rng.random() < 0.7 else -26 + 20 * severity
    y = set_level(x, world.rate, dbfs)
    return y, {"level_dbfs": round(level_dbfs(y, world.rate), 2)}


KINDS = {"level": Kind(Family.PLAYBACK, _level)}
