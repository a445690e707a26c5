"""Kinds of other packages that are installed here, by their entry points of the group `sqa_data.kinds`.

Such an entry point names a dict of name -> Kind, as `KINDS` of each module here is. So a codec whose weights or code
are not ours to ship is a package of its own, and no file of a corpus, configuration or checkpoint names code to run.
"""

from collections.abc import Collection
from importlib.metadata import EntryPoint, entry_points

from sqa_data.degrade.kind import Kind
from sqa_data.errors import DataError

GROUP = "sqa_data.kinds"


def installed(taken: Collection[str]) -> dict[str, Kind]:
    """The kinds of other packages; none may have a name of `taken` or of one another.

    Raises `DataError` for an entry point that cannot be loaded or is no such dict: what a seed means depends on the
    kinds at hand, so none is passed over.
    """
    found: dict[str, Kind] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        for name, kind in _loaded(point).items():
            if name in taken or name in found:
                raise DataError(f"{_where(point)}: a kind {name!r} is there already; give it another name")
            found[name] = kind
    return found


def _loaded(point: EntryPoint) -> dict[str, Kind]:
    try:
        kinds = point.load()
    except Exception as error:  # what a package of somebody else raises when it is imported
        raise DataError(f"{_where(point)}: {error!r}; repair or uninstall it") from error
    good = isinstance(kinds, dict) and all(
        isinstance(name, str) and isinstance(kind, Kind) for name, kind in kinds.items()
    )
    if not good:
        raise DataError(f"{_where(point)}: {point.value} is no dict of name -> Kind; repair or uninstall it")
    return dict(kinds)


def _where(point: EntryPoint) -> str:
    """Whose it is."""
    package = f"{point.dist.name} {point.dist.version}" if point.dist else "an installed package"
    return f"{package}: entry point {point.name!r} of {GROUP}"
