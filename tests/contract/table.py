"""Tricky rows and the right reading of each: sqa-data and sqa-metrics, which do not import each other, are held to it.

Every line is a row of a manifest, of results and of a score file at once.
"""

from dataclasses import dataclass

NUMBER = 3.5
# what only manifests need
A = b'"audio_path": "/a.wav", "duration": 1'


@dataclass(frozen=True)
class Reading:
    """What a row says; of `mos` None is "no label" to a manifest and a missing score to a score file."""

    sample_id: str
    system_id: str | None = None
    corpus: str | None = None
    mos: float | None = NUMBER


@dataclass(frozen=True)
class Wrong:
    """The row is an error that names file and line. `only`: the one package that says so, for the reason given."""

    only: str = ""
    otherwise: Reading | None = None


def line(ids: str, metrics: str = '{"mos": 3.5}', more: str = "") -> bytes:
    return b"{%s, %s%s}" % (A, ids.encode(), f', "metrics": {metrics}{more}'.encode())


U = Reading("u")

# name -> (line, reading)
ROWS: dict[str, tuple[bytes, Reading | Wrong]] = {
    "plain": (line('"sample_id": "u", "system_id": "s", "corpus": "c"'), Reading("u", "s", "c")),
    "no system, no corpus": (line('"sample_id": "u", "system_id": null, "corpus": null'), U),
    "empty system and corpus are none": (line('"sample_id": "u", "system_id": "", "corpus": ""'), U),
    "numbers as ids": (line('"sample_id": 15, "system_id": 7, "corpus": -3'), Reading("15", "7", "-3")),
    "zeros in front stay": (line('"sample_id": "015", "system_id": "007"'), Reading("015", "007")),
    "minus nought": (line('"sample_id": -0'), Reading("0")),
    "64 bits": (line('"sample_id": 18446744073709551615'), Reading("18446744073709551615")),
    "more than 64 bits": (line('"sample_id": 1000000000000000000000000000000'), Wrong()),
    "blanks are part of an id": (line('"sample_id": " u ", "system_id": "\\t"'), Reading(" u ", "\t")),
    "a path is an id like any other": (line('"sample_id": "s1/u1.wav"'), Reading("s1/u1.wav")),
    "decimals as an id": (line('"sample_id": 15.0'), Wrong()),
    "a truth as an id": (line('"sample_id": true'), Wrong()),
    "a list as an id": (line('"sample_id": ["u"]'), Wrong()),
    "a truth as a system": (line('"sample_id": "u", "system_id": false'), Wrong()),
    "an object as a corpus": (line('"sample_id": "u", "corpus": {}'), Wrong()),
    "no id": (line('"system_id": "s"'), Wrong()),
    "null for an id": (line('"sample_id": null'), Wrong()),
    "an empty id": (line('"sample_id": ""'), Wrong()),
    "uid": (line('"uid": "c0:f1", "system_id": "c0"'), Reading("c0:f1", "c0")),
    "a number as uid": (line('"uid": 15'), Reading("15")),
    "uid beside sample_id": (line('"uid": "x", "sample_id": "u"'), U),
    "uid where sample_id is null": (line('"uid": "x", "sample_id": null'), Reading("x")),
    "uid where sample_id is empty": (line('"uid": "x", "sample_id": ""'), Reading("x")),
    "an empty uid": (line('"uid": ""'), Wrong()),
    "of doubled keys the last": (line('"sample_id": "x", "sample_id": "u"'), U),
    "of doubled labels the last": (line('"sample_id": "u"', '{"mos": 1, "mos": 3.5}'), U),
    "escapes": (line('"sample_id": "\\u0075", "system_\\u0069d": "\\"\\\\\\/"'), Reading("u", '"\\/')),
    "beyond the plane": (line('"sample_id": "\\ud83d\\ude00"'), Reading("\U0001f600")),
    "composed and decomposed differ": (line('"sample_id": "e\u0301\u00e9"'), Reading("e\u0301\u00e9")),
    "line and paragraph separators": (
        line('"sample_id": "a\u2028b\u2029c\u0085"'),
        Reading("a\u2028b\u2029c\u0085"),
    ),
    "NUL": (line('"sample_id": "a\\u0000b"'), Reading("a\0b")),
    "a control character": (line('"sample_id": "a\tb"'), Wrong()),
    "a byte of a file name": (line('"sample_id": "b\\udce4r"'), Reading("b\udce4r")),
    "half a surrogate pair": (line('"sample_id": "\\ud800"'), Wrong()),
    "half a pair elsewhere": (line('"sample_id": "u"', more=', "x": ["\\udfff"]'), Wrong()),
    "not UTF-8": (line('"sample_id": "u"').replace(b'"u"', b'"\xe4"'), Wrong()),
    "nested without end": (line('"sample_id": "u"', more=', "x": ' + "[" * 100_000 + "]" * 100_000), Wrong()),
    "nested deeply": (line('"sample_id": "u"', more=', "x": ' + "[" * 900 + "]" * 900), U),
    "cut off": (line('"sample_id": "u"')[:-1], Wrong()),
    "two objects": (line('"sample_id": "u"') * 2, Wrong()),
    "an array": (b"[1]", Wrong()),
    "a comma too many": (line('"sample_id": "u"', more=","), Wrong()),
    "a whole number": (line('"sample_id": "u"', '{"mos": 4}'), Reading("u", mos=4.0)),
    "an exponent": (line('"sample_id": "u"', '{"mos": 35E-1}'), U),
    "seventeen digits": (
        line('"sample_id": "u"', '{"mos": 3.4999999999999996}'),
        Reading("u", mos=3.4999999999999996),
    ),
    "no label": (line('"sample_id": "u"', '{"mos": null}'), Reading("u", mos=None)),
    "NaN": (line('"sample_id": "u"', '{"mos": NaN}'), Reading("u", mos=None)),
    "no labels at all": (line('"sample_id": "u"', "null"), Reading("u", mos=None)),
    "an empty object": (line('"sample_id": "u"', "{}"), Reading("u", mos=None)),
    "a list of labels": (line('"sample_id": "u"', "[3.5]"), Wrong()),
    "a truth as a label": (line('"sample_id": "u"', '{"mos": true}'), Wrong()),
    "a word as a label": (line('"sample_id": "u"', '{"mos": "high"}'), Wrong()),
    "an object as a label": (line('"sample_id": "u"', '{"mos": {}}'), Wrong()),
    # CSV-minded tools quote all numbers of a score file; a corpus that does so is looked at first
    "a number in quotes": (line('"sample_id": "u"', '{"mos": "3.5"}'), Wrong("sqa_data", U)),
    # a missing score is counted and can be allowed; a label that is not finite is a mistake of whoever made it
    "infinity": (line('"sample_id": "u"', '{"mos": Infinity}'), Wrong("sqa_data", Reading("u", mos=None))),
    "a scale": (line('"sample_id": "u"', more=', "scales": {"mos": [1, 5]}'), U),
    "a scale with its bounds exchanged": (
        line('"sample_id": "u"', more=', "scales": {"mos": [5, 1]}'),
        Wrong(),
    ),
    "a scale of one bound": (line('"sample_id": "u"', more=', "scales": {"mos": [5]}'), Wrong()),
    "a scale that is a number": (line('"sample_id": "u"', more=', "scales": 5'), Wrong()),
    "no scale": (line('"sample_id": "u"', more=', "scales": null'), U),
    # a score file is asked for one metric
    "a wrong scale of another label": (
        line('"sample_id": "u"', more=', "scales": {"noi": [5, 1]}'),
        Wrong("sqa_data", U),
    ),
    # two clips to a manifest (see test_pairs); no score of one clip
    "a pair": (
        b'{"audio_paths": ["/x/a.wav", "/x/b.wav"], "durations": [1, 2], "metrics": {"mos": 1}}',
        Wrong("sqa_metrics"),
    ),
}

ONE = line('"sample_id": "u"')
TWO = line('"sample_id": "v"')
MARK = b"\xef\xbb\xbf"

# name -> (content, ids)
FILES: dict[str, tuple[bytes, list[str]]] = {
    "no end of the last line": (ONE + b"\n" + TWO, ["u", "v"]),
    "carriage returns": (ONE + b"\r\n" + TWO + b"\r\n", ["u", "v"]),
    "blank lines": (b"\n \t\r\n" + ONE + b"\n\n\n" + TWO + b"\n\n", ["u", "v"]),
    "a byte order mark": (MARK + ONE + b"\n" + TWO + b"\n", ["u", "v"]),
    "a mark on a line of its own": (MARK + b"\n" + ONE, ["u"]),
    "files put together, each with its mark": (MARK + ONE + b"\n" + MARK + TWO + b"\n", ["u", "v"]),
    "blanks around a row": (b"  " + ONE + b" \t\n", ["u"]),
}

# lists of an id and something else, which stands for %b: a path to one package, a score to the other
LISTS: dict[str, tuple[bytes, list[str]]] = {
    "scp": (b"u %b\nv %b\n", ["u", "v"]),
    "scp with a mark": (MARK + b"u %b\nv %b\n", ["u", "v"]),
    "scp with tabs": (b"u\t%b\nv\t%b\n", ["u", "v"]),
    "scp with carriage returns": (b"u %b\r\nv %b\r\n", ["u", "v"]),
    "scp with a separator in an id": ("u\u2028\u0085x %b\n".encode(), ["u\u2028\u0085x"]),
    "scp with a no-break space in an id": ("u\u00a0x %b\n".encode(), ["u\u00a0x"]),
    "numbers": (b"015 %b\n7 %b\n", ["015", "7"]),
}

# path -> id
PATHS = {
    "s1/u1.flac": "u1",
    "a/b.aiff": "b",
    "a/b.AIFC": "b",
    "a/b.wave": "b",
    "a/b.m4a": "b",
    "/abs/take.1.wav": "take.1",
    "C:\\x\\u1.wav": "u1",
    "./u1.wav": "u1",
    "plain": "plain",
    "v1.5_a": "v1.5_a",
    "x.dat": "x.dat",
    "u1.wav.flac": "u1.wav",
    "a/.wav": ".wav",
    ".wav": ".wav",
    "a/u1.wav/": "u1",
    "ü b.ogg": "ü b",
    "b\udce4r.wav": "b\udce4r",
}

# paths listed together -> ids
TOGETHER = {
    ("s1/u.wav", "s2/v.wav"): ["u", "v"],
    ("x/s1/u.wav", "x/s2/u.wav"): ["s1/u", "s2/u"],
    ("x/s1/u.wav", "x/s2/u.wav", "x/s2/v.wav"): ["s1/u", "s2/u", "s2/v"],
    ("u.wav", "s2/u.wav"): ["u", "s2/u"],
    ("/x/s1/u.wav", "/x/s2/u.flac"): ["s1/u", "s2/u"],
}


def reading_of(row: Reading | Wrong, package: str) -> Reading | None:
    """What `package` makes of a row; None for an error."""
    if isinstance(row, Reading):
        return row
    return None if row.only in ("", package) else row.otherwise
