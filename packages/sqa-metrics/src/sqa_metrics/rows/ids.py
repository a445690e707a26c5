"""The id of a clip from its path, and texts of files made safe to show.

`clip_id` and its suffixes are those of `sqa_data.ids`, which this package does not import; a contract test holds both
to the same table.
"""

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


def listed_id(text: str) -> str:
    """The id that a list gives by an id or by the path of an audio file; an id may hold slashes.

    >>> listed_id("wav/sys1-utt1.WAV"), listed_id("sys1/utt1"), listed_id("v1.2")
    ('sys1-utt1', 'sys1/utt1', 'v1.2')
    """
    text = text.strip()
    return clip_id(text) if without_suffix(text) != text else text


def shown(text: str, keep: str = "") -> str:
    """`text` with what does not print (control characters, half a surrogate pair) escaped, but for those in `keep`.

    >>> shown("a\\x1b[31m\\tb", keep="\\t")
    'a\\\\x1b[31m\\tb'
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape", "surrogatepass").decode()
        for c in text
    )
