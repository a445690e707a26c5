"""A sheet of pictures: what each kind does to one clip, as spectrograms from mild to hard, in one HTML file."""

import base64
import html
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

from sqa_data.atomic import atomic_write
from sqa_data.degrade.chain import degrade
from sqa_data.degrade.kind import Family, Step, Surroundings
from sqa_data.degrade.kinds import KINDS
from sqa_data.degrade.recordings import own_rate
from sqa_data.degrade.render import clean_excerpt
from sqa_data.degrade.signal import Samples, stft

LONGEST_S = 5.0
SEVERITIES = (0.0, 0.5, 1.0)
RANGE_DB = 80  # from black to white
HEIGHT, WIDTH = 128, 320  # pixels of a picture
COLOURS = np.array(
    [(0, 0, 4), (81, 18, 124), (183, 55, 121), (252, 137, 97), (252, 253, 191)]
)  # dark to bright
PAGE = """<!doctype html><meta charset="utf-8"><title>Degradations</title>
<style>body{font:13px sans-serif;margin:1em}td{vertical-align:top;padding:4px;max-width:330px}
small{color:#555;overflow-wrap:anywhere}img{display:block}</style>
"""


def sheet_of(
    path: str | Path,
    speech: str | Path,
    kinds: Sequence[str],
    around: Surroundings,
    *,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> None:
    """Write the sheet of these kinds, run on the first five seconds of a clean clip at severities 0, 0.5 and 1.

    The clip keeps its rate, within 8 to 48 kHz. `progress(done)` is called after each kind. Raises `AudioError`
    for speech that cannot be read, `DataError` as `degrade` does, and `OSError` where the file cannot be written.
    """
    rate = own_rate(Path(speech))
    clean = clean_excerpt(str(speech), 0.0, LONGEST_S, rate)
    with atomic_write(Path(path)) as file:
        file.write(PAGE.encode())
        file.write(f"<table><tr><td>clean<td>{picture(clean, rate)}</tr>\n".encode())
        for done, kind in enumerate(kinds, start=1):
            cells = "".join(_cells(kind, clean, rate, around, seed))
            family = KINDS[kind].family
            file.write(f"<tr><td><b>{html.escape(kind)}</b><br>{family}{cells}</tr>\n".encode())
            progress(done)
        file.write(b"</table>\n")


def _cells(kind: str, clean: Samples, rate: int, around: Surroundings, seed: int) -> Iterable[str]:
    # an enhancer has something to suppress
    first = [Step("coloured-noise", 0.5)] if KINDS[kind].family is Family.ENHANCER else []
    for severity in SEVERITIES:
        made = degrade(clean, [*first, Step(kind, severity)], seed, around, rate=rate)
        told = {
            name: value for step in made.steps[len(first) :] for name, value in step.items() if name != "kind"
        }
        text = ", ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in told.items())
        yield f"<td>{picture(made.samples, rate)}<small>{html.escape(text)}</small>"


def picture(samples: Samples, rate: int) -> str:
    """An `<img>` of the spectrogram: time to the right, 0 Hz to half the rate upwards, 80 dB from dark to bright."""
    power = np.abs(stft(samples, rate, 0.032, 0.008)) ** 2  # (frames, bins)
    power = _averaged(_averaged(power, WIDTH).T, HEIGHT)[::-1]  # (height, width), low frequencies below
    level = 10 * np.log10(power + 1e-10)
    share = np.clip((level - level.max()) / RANGE_DB + 1, 0, 1)
    data = base64.b64encode(png((255 * share).astype(np.uint8))).decode()
    return f'<img width="{WIDTH}" height="{HEIGHT}" src="data:image/png;base64,{data}">'


def _averaged(rows: np.ndarray, count: int) -> np.ndarray:
    """(rows, ...) -> (count, ...): means of neighbouring rows, or each of them several times."""
    edges = np.linspace(0, len(rows), count + 1).astype(int)
    starts = np.minimum(edges[:-1], len(rows) - 1)
    sums = np.add.reduceat(rows, starts, axis=0)
    return sums / np.maximum(np.diff(np.append(starts, len(rows))), 1)[:, None]


def png(pixels: np.ndarray) -> bytes:
    """(height, width) uint8, from dark to bright, as a PNG file with a palette (ISO/IEC 15948): one IDAT, no filter."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    height, width = pixels.shape
    at = np.linspace(0, len(COLOURS) - 1, 256)
    palette = np.stack([np.interp(at, range(len(COLOURS)), COLOURS[:, c]) for c in range(3)], axis=1)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), pixels], axis=1)
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", palette.astype(np.uint8).tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(name, content) for name, content in parts)
