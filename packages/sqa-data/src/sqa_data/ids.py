"""The names of clips: which files are audio, and the id that a clip gets from its path where no list gives one.

sqa-metrics cannot import this and has its own copy; `tests/contract` holds the two equal.
"""

import hashlib
import os
from collections.abc import Sequence

# Lower case. Also formats that libsndfile does not decode: a clip of one becomes a row that says so, where a
# file passed over in silence would be missed.
SUFFIXES = frozenset(
    {
        *(".aac", ".aif", ".aifc", ".aiff", ".amr", ".au", ".caf", ".flac", ".m4a", ".mp2", ".mp3", ".oga"),
        *(".ogg", ".opus", ".rf64", ".snd", ".sph", ".voc", ".w64", ".wav", ".wave", ".wma"),
    }
)


def clip_id(path: str) -> str:
    """A clip's id from its path: no folder and no audio suffix; / and \\ both part folders.

    >>> clip_id("wav/sys1-utt1.WAV"), clip_id("s1\\\\u1.flac"), clip_id("v1.5_a"), clip_id("take.1.aiff")
    ('sys1-utt1', 'u1', 'v1.5_a', 'take.1')
    """
    return without_suffix(path.replace("\\", "/").rstrip("/").rpartition("/")[2]) or path


def without_suffix(path: str) -> str:
    """The path without its audio suffix, if it has one and more than that."""
    start, dot, end = path.rpartition(".")
    named = start and not start.endswith(("/", "\\"))
    return start if named and f"{dot}{end}".lower() in SUFFIXES else path


def clip_ids(paths: Sequence[str]) -> list[str]:
    """Ids of clips that are listed together, from their paths.

    Each is its `clip_id` if these differ; else all are the paths below the common folder, without suffix if that
    tells them apart.

    >>> clip_ids(["s1/a.wav", "s2/b.wav"]), clip_ids(["x/s1/a.wav", "x/s2/a.wav"]), clip_ids(["a.wav", "a.flac"])
    (['a', 'b'], ['s1/a', 's2/a'], ['a.wav', 'a.flac'])
    """
    names = [clip_id(path) for path in paths]
    if len(set(names)) == len(names):
        return names
    absolute = [os.path.abspath(path) for path in paths]  # noqa: PTH100  Path would cost 10 µs a clip
    try:
        common = os.path.commonpath([os.path.dirname(path) for path in absolute])  # noqa: PTH120
        below = [os.path.relpath(path, common).replace(os.sep, "/") for path in absolute]
    except ValueError:  # on several drives of Windows
        below = absolute
    shorter = [without_suffix(path) for path in below]
    return shorter if len(set(shorter)) == len(shorter) else below


def short_hash(*names: object) -> int:
    """64 bits that stand for an id and what it is an id of, where a table of millions would not fit into memory."""
    key = "\0".join(map(str, names)).encode("utf-8", "surrogateescape")
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
