"""The states of a frozen backbone on disk: computed when a clip is first seen, memory-mapped ever after.

One folder holds one set of clips under one backbone; its name is a hash of both, so a changed audio file or weight
means another folder. Inside lie `states.f16`, a sparse file with room for every clip's (layers, frames, dim) in half
precision, and `frames.i32`, the frames that each clip has there, 0 while it has none. The processes of one machine
share them; a clip counts only after its states are written, so a kill loses at most the clip being written.

Training always goes on with the states as they are stored, also where they have just been computed: what a run learns
does not depend on when its cache was filled.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from sqa_model.errors import ModelError
from sqa_model.network.model import MosModel
from sqa_model.training.clips import Clips

HALF = 65504.0  # largest number of half precision


class FeatureCache:
    """States of clips by their index; `bytes` is the room that all of them take."""

    def __init__(
        self, folder: Path, clips: Clips, model: MosModel, most_s: float, key: Mapping[str, object]
    ) -> None:
        """Open or make the cache of `clips`, at most `most_s` long each; `key` is what else matters."""
        backbone = model.config.backbone
        self.shape = backbone.states, backbone.dim
        self.room = _room(clips, model, most_s)
        self.start = np.concatenate([[0], np.cumsum(self.room)])
        self.bytes = cache_bytes(clips, model, most_s)

        self.folder = folder / _fingerprint(clips, model, most_s, key)
        self.folder.mkdir(parents=True, exist_ok=True)
        self._states = self._map("states.f16", np.float16, self.bytes // 2)
        self._frames = self._map("frames.i32", np.int32, len(clips))

    def get(self, clip: int) -> Tensor | None:
        """(layers, frames, dim) in half precision, or None if it is not there. Safe in reader threads."""
        frames = int(self._frames[clip])
        if frames == 0:
            return None
        layers, dim = self.shape
        first = int(self.start[clip]) * layers * dim
        stored = self._states[first : first + layers * frames * dim]
        return torch.from_numpy(np.array(stored)).view(layers, frames, dim)

    def put(self, clip: int, states: Tensor) -> Tensor:
        """Store states unless there are some; returns what is stored (or would be, if there is no room for it)."""
        if (kept := self.get(clip)) is not None:
            return kept
        half = states.detach().clamp(-HALF, HALF).to(torch.float16).cpu().contiguous()
        layers, frames, dim = half.shape
        # else the manifest's duration is wrong, and the clip is computed each time
        if frames <= self.room[clip]:
            self._write(int(self.start[clip]) * layers * dim * 2, half.numpy())
            self._frames[clip] = frames  # last: now it counts
        return half

    @property
    def stored(self) -> int:
        """Number of clips in it."""
        return int((self._frames > 0).sum())

    def flush(self) -> None:
        """Put everything on the disk (a killed process loses nothing anyway, a power cut would)."""
        self._states.flush()
        self._frames.flush()

    def _write(self, place: int, half: np.ndarray) -> None:
        """Put states at a place of their file; through the map, a full disk would end the process without a word."""
        try:
            with (self.folder / "states.f16").open("r+b") as file:
                file.seek(place)
                file.write(half.data)
        except OSError as error:
            raise ModelError(
                f"data.cache: cannot write in {self.folder}: {error.strerror}; make room and run the same command "
                "again, or leave the cache out (data.cache=none)"
            ) from error

    def _map(self, name: str, kind: type, count: int) -> np.memmap:
        path = self.folder / name
        size = count * np.dtype(kind).itemsize
        if not path.exists() or path.stat().st_size != size:
            free = shutil.disk_usage(self.folder).free
            if size > free:
                raise ModelError(
                    f"data.cache: the features need {size / 1e9:.1f} GB, {self.folder} has {free / 1e9:.1f} GB free; "
                    "use another disk, lower data.max_seconds, or leave the cache out (data.cache=none)"
                )
            with path.open("ab") as file:
                file.truncate(size)  # sparse: takes room as it is filled
        return np.memmap(path, kind, "r+", shape=(count,))


def cache_bytes(clips: Clips, model: MosModel, most_s: float) -> int:
    """The room that the states of all clips take, at most `most_s` long each."""
    backbone = model.config.backbone
    return int(_room(clips, model, most_s).sum()) * backbone.states * backbone.dim * 2


def _room(clips: Clips, model: MosModel, most_s: float) -> np.ndarray:
    """Frames kept free for each clip, with a little room for what rounding and resampling do."""
    rate = model.config.sample_rate
    samples = [int(min(s, most_s) * rate) + rate // 50 for s in clips.seconds.tolist()]
    return np.array(model.backbone.lengths(samples))


def _fingerprint(clips: Clips, model: MosModel, most_s: float, key: Mapping[str, object]) -> str:
    """A hash of every audio file's name, size and time, of the backbone's weights, and of how they are used."""
    digest = hashlib.blake2b(digest_size=16)
    backbone = model.config.backbone.record()
    heard = [model.config.sample_rate, model.config.normalize, most_s, *["trim"] * model.config.trim]
    digest.update(json.dumps([backbone, heard, dict(key)], sort_keys=True).encode())
    for name, value in sorted(model.backbone.state_dict().items()):
        digest.update(name.encode() + value.detach().cpu().contiguous().numpy().tobytes())
    for path, seconds in zip(clips.paths, clips.seconds.tolist(), strict=True):
        digest.update(f"{path}\0{seconds}\0{_stamp(path)}\n".encode())
    return digest.hexdigest()


def _stamp(path: str) -> str:
    try:
        status = Path(path).stat()
    except OSError:
        return "absent"  # reading it will fail, be counted and be named
    return f"{status.st_size} {status.st_mtime_ns}"
