"""Write a planned corpus: every clip, its clean reference, and one manifest a split."""

import functools
import hashlib
import io
import json
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from sqa_data.atomic import atomic_path, atomic_write, lock
from sqa_data.audio import AudioError, look
from sqa_data.degrade.chain import SHORTEST_S, degrade
from sqa_data.degrade.kind import Surroundings
from sqa_data.degrade.plan import Excerpt, PlannedClip
from sqa_data.degrade.recordings import read_mono
from sqa_data.degrade.signal import Samples, set_level
from sqa_data.errors import DataError
from sqa_data.manifest import Utterance, write_manifest
from sqa_data.processes import end_with_parent

MARGIN_S = 0.05  # beside an excerpt, for the filter of the resampler


def render(
    clips: Sequence[PlannedClip],
    out: str | Path,
    seed: int,
    *,
    jobs: int = 1,
    on_clip: Callable[[], None] = lambda: None,
) -> dict[str, Path]:
    """Write every clip (16-bit FLAC) and its clean reference under `out`, then one manifest a split.

    What is there from an earlier, interrupted run is kept. Returns the manifest of each split. Rows carry
    `reference_path` (where the source is clean enough) and `degradation`. Raises `DataError` for a folder that was
    made from another plan, or in which another process is rendering.
    """
    out = Path(out)
    with lock(out / ".degrade", "another degrade is writing here; wait for it, or choose another folder"):
        _claim(out, _digest(clips, seed))
        rows: list[Utterance] = []
        one = functools.partial(_render_one, out=str(out.absolute()), seed=seed)
        spawned = functools.partial(ProcessPoolExecutor, jobs, get_context("spawn"), end_with_parent)
        with spawned() if jobs > 1 else nullcontext() as pool:
            for row in pool.map(one, clips, chunksize=8) if pool else map(one, clips):
                rows.append(row)
                on_clip()
        manifests = {}
        for split in dict.fromkeys(clip.split for clip in clips):
            manifests[split] = out / f"{split}.jsonl"
            write_manifest(manifests[split], (row for row in rows if row.split == split), relative=True)
    return manifests


def _claim(out: Path, digest: str) -> None:
    """Make a folder that of a plan; `DataError` if it is that of another one."""
    stamp = out / "plan.sha256"
    if stamp.exists() and stamp.read_text().strip() != digest:
        raise DataError(
            f"{out}: was made from another plan (other sources, counts or seed); "
            "give a new folder or remove it"
        )
    for folder in ("audio", "reference"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    with atomic_write(stamp) as file:
        file.write(f"{digest}\n".encode())


def _digest(clips: Sequence[PlannedClip], seed: int) -> str:
    """SHA-256 of all that the audio depends on; file names count, folders do not."""
    described = [
        asdict(replace(clip, around=Surroundings()))
        | {"source": clip.source.path.name, "around": _names(clip.around)}
        | {"more": [[piece.path.name, piece.start, piece.seconds] for piece in clip.more]}
        for clip in clips
    ]
    return _sha256([*described, seed])


def _names(around: Surroundings) -> list[str]:
    return [_hash_of_names(tuple(paths)) for paths in (around.noises, around.talkers, around.rooms)]


@functools.lru_cache(maxsize=64)  # most clips share their noises and rooms
def _hash_of_names(paths: tuple[Path, ...]) -> str:
    return _sha256([path.name for path in paths])


def _sha256(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _render_one(clip: PlannedClip, *, out: str, seed: int) -> Utterance:
    name = f"{clip.sample_id}.flac"
    audio, about = Path(out, "audio", name), Path(out, "audio", f"{clip.sample_id}.json")
    reference = Path(out, "reference", name)
    if not (audio.exists() and about.exists() and reference.exists()):
        rate = clip.sample_rate
        pieces = [Excerpt(clip.source.path, clip.start, clip.seconds), *clip.more]
        clean = np.concatenate([clean_excerpt(str(path), start, s, rate) for path, start, s in pieces])
        own_seed = (seed, zlib.crc32((clip.ladder or clip.sample_id).encode()))
        degraded = degrade(clean, clip.chain, own_seed, clip.around, rate=rate)
        _write_audio(reference, degraded.reference, rate)
        with atomic_write(about) as file:
            file.write(json.dumps(degraded.steps, allow_nan=False).encode())
        _write_audio(audio, degraded.samples, rate)
    extra: dict[str, Any] = {"degradation": json.loads(about.read_text()), "talker": clip.source.talker}
    told = {"source_kind": clip.source.kind, "ladder": clip.ladder}
    extra |= {name: value for name, value in told.items() if value}
    if clip.source.is_reference:
        extra["reference_path"] = f"reference/{name}"
    return Utterance(
        audio_path=str(audio),
        corpus="degraded",
        split=clip.split,
        system_id=clip.system_id,
        sample_id=clip.sample_id,
        duration=look(audio).duration_s,
        sample_rate=clip.sample_rate,
        metrics={},
        language=clip.source.language or None,
        extra=extra,
    )


def clean_excerpt(path: str, start_s: float, seconds: float, rate: int) -> Samples:
    """`seconds` of a recording, scaled to -26 dBFS (ITU-T P.56's usual level), faded by 5 ms at both ends."""
    clean = _piece(path, start_s, seconds, rate)
    if not np.ptp(clean):  # a pause of digital silence: take the loudest place instead
        loudest = int(np.abs(read_mono(path, rate)).argmax()) / rate
        clean = _piece(path, max(0.0, loudest - seconds / 2), seconds, rate)
    if not np.ptp(clean):
        raise DataError(f"{path}: is silent; expected speech")
    clean = set_level(clean - clean.mean(), rate, -26.0)
    fade = np.linspace(0, 1, rate // 200)
    clean[: len(fade)] *= fade
    clean[-len(fade) :] *= fade[::-1]
    return clean


def _piece(path: str, start_s: float, seconds: float, rate: int) -> Samples:
    """Samples of a recording; `DataError` where it ends before its header says so."""
    before_s = min(start_s, MARGIN_S)
    try:
        heard = read_mono(path, rate, start_s - before_s, before_s + seconds + MARGIN_S)
    except AudioError as error:
        raise DataError(f"{path}: {error}" if path not in str(error) else str(error)) from error
    piece = heard[int(before_s * rate) :][: int(seconds * rate)].astype(np.float64)
    if len(piece) < SHORTEST_S * rate:
        raise DataError(
            f"{path}: holds {len(piece) / rate:.2f} s from {start_s:g} s on; expected {seconds:g} s"
        )
    return piece


def _write_audio(path: Path, samples: Samples, rate: int) -> None:
    encoded = io.BytesIO()  # libsndfile says "System error" of a full disk
    sf.write(encoded, samples.clip(-1, 1 - 2**-15), rate, format="FLAC", subtype="PCM_16")
    with atomic_path(path, sync=False) as temporary:
        temporary.write_bytes(encoded.getbuffer())
