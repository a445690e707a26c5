"""Rooms: what walls add to a voice before it reaches the microphone.

Each leaves in `world.notes` how a sound elsewhere in the same room is heard.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from sqa_data.degrade.acoustics import Box, Response, recorded
from sqa_data.degrade.kind import Family, Kind, Settings, Surroundings, World
from sqa_data.degrade.signal import Samples
from sqa_data.errors import DataError

CANDIDATES = 6  # recorded rooms, of which the severity chooses one

# a sound and a random stream -> as it is heard from another place of the room; and where that is
Elsewhere = Callable[[Samples, np.random.Generator], tuple[Samples, Settings]]


def _told(response: Response) -> Settings:
    return {"rt60_s": round(response.rt60_s, 3), "direct_db": round(response.direct_db, 3)}


def _reverb(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    box = Box.drawn(0.15 + 1.45 * severity, world.rng)
    # how near the talker is has little to do with the room
    direct_db = 18 - 26 * severity + float(world.rng.uniform(-4, 4))
    distance_m = min(max(box.distance_m(direct_db), 0.1), 0.6 * float(box.size_m.max()))
    response = box.response(box.place(distance_m, world.rng), world.rate, world.rng).with_direct_db(direct_db)
    world.notes["room"] = elsewhere_in(box, world.rate)
    return response.applied(x), _told(response) | {"volume_m3": round(box.volume_m3, 1)}


def elsewhere_in(box: Box, rate: int) -> Elsewhere:
    """Sounds from a metre to a wall away from the microphone of a made room."""

    def hear(sound: Samples, rng: np.random.Generator) -> tuple[Samples, Settings]:
        distance_m = float(rng.uniform(1.0, float(box.size_m.max())))
        response = box.response(box.place(distance_m, rng), rate, rng)
        return response.applied(sound), {"noise_direct_db": round(response.direct_db, 3)}

    return hear


def _recorded(x: Samples, severity: float, world: World) -> tuple[Samples, Settings]:
    rooms, found = world.around.rooms, list[tuple[Response, Path]]()
    for index in world.rng.permutation(len(rooms)).tolist():
        if (response := recorded(rooms[index], world.rate)) is not None:
            found.append((response, rooms[index]))
        if len(found) == CANDIDATES:
            break
    if not found:
        raise DataError(
            f"{rooms[0]}: is silent, and so are the other rooms; give --rir with impulse responses"
        )
    # the clearest of those drawn is the mildest
    found.sort(key=lambda room: -room[0].clarity_db)
    response, path = found[round(severity * (len(found) - 1))]
    world.notes["room"] = _elsewhere_of(response, path, rooms)
    return response.applied(x), {"room": f"{path.parent.name}/{path.stem}"} | _told(response)


def _elsewhere_of(response: Response, path: Path, rooms: Sequence[Path]) -> Elsewhere:
    """Another recording of the same room: of the same folder, or the same one where there is none."""
    others = [room for room in rooms if room.parent == path.parent and room != path] or [path]

    def hear(sound: Samples, rng: np.random.Generator) -> tuple[Samples, Settings]:
        other = others[int(rng.integers(len(others)))]
        heard = recorded(other, response.rate) or response
        return heard.applied(sound), {
            "noise_room": f"{other.parent.name}/{other.stem}",
            "noise_direct_db": round(heard.direct_db, 3),
        }

    return hear


def _no_rooms(around: Surroundings) -> str | None:
    return None if around.rooms else "needs recorded impulse responses of rooms; give --rir FOLDER"


KINDS = {"reverb": Kind(Family.ROOM, _reverb), "rir": Kind(Family.ROOM, _recorded, _no_rooms)}
