"""Small networks of other people: their weights lie in a folder of the user's, what runs them is an optional package.

One network runs on one thread, and each clip has its own, for these networks carry what they heard from call to call.
"""

import functools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sqa_data.degrade.kind import Surroundings, needs
from sqa_data.errors import DataError

Run = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Network:
    """A network that may be absent.

    `files`: of its folder under `Surroundings.models`; `source`: who publishes them; `package`: PyPI's name of what
    runs them.
    """

    folder: str
    files: tuple[str, ...]
    source: str
    package: str

    def missing(self, around: Surroundings) -> str | None:
        """Why it cannot run here, in a few words; None if it can."""
        if reason := needs(self.package.replace("-", "_"), self.package)(around):
            return reason
        for file in self.files:
            if around.models is None or not self.path(around, file).is_file():
                return f"needs {self.folder}/{file} of {self.source}; give --models FOLDER with it"
        return None

    def path(self, around: Surroundings, file: str) -> Path:
        """Where one of its files lies. Raises `DataError` without a folder of models."""
        if around.models is None:
            raise DataError(f"{self.folder} needs a folder of network weights; give --models FOLDER")
        return around.models / self.folder / file

    def tflite(self, around: Surroundings, file: str) -> Any:
        """A LiteRT interpreter that has heard nothing yet. Raises `DataError` for a file that it cannot read."""
        from ai_edge_litert.interpreter import Interpreter

        path = self.path(around, file)
        try:
            with _muted():
                interpreter = Interpreter(str(path), num_threads=1)
                interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as error:
            raise DataError(
                f"{path}: no network that LiteRT can read; expected that of {self.source}"
            ) from error
        return interpreter

    def tflite_run(self, around: Surroundings, file: str) -> Run:
        """The call of a network with one input and one output, both float32; it keeps its state between calls."""
        interpreter = self.tflite(around, file)
        given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]["index"]
        shape = tuple(given["shape"].tolist())

        def run(samples: np.ndarray) -> np.ndarray:
            self._expect(self.path(around, file), shape, samples)
            interpreter.set_tensor(given["index"], samples.astype(np.float32))
            interpreter.invoke()
            out: np.ndarray = interpreter.get_tensor(made)
            return out

        return run

    def onnx_run(self, around: Surroundings, file: str) -> Run:
        """The call of a network by its first input and output; the others are its states, kept between calls.

        The weights are read once a process, the states are zeros at first. Raises `DataError` for a file that the
        runtime cannot read.
        """
        path = self.path(around, file)
        try:
            session = _onnx_session(path)
            frame, *states = session.get_inputs()
            shape = tuple(frame.shape)
            memory = {state.name: np.zeros(state.shape, np.float32) for state in states}
        except Exception as error:  # the errors of the runtime share no class
            raise DataError(
                f"{path}: no network that onnxruntime can read; expected that of {self.source}"
            ) from error

        def run(samples: np.ndarray) -> np.ndarray:
            self._expect(path, shape, samples)
            out, *after = session.run(None, {frame.name: samples.astype(np.float32), **memory})
            memory.update(zip(memory, after, strict=True))
            return np.asarray(out)

        return run

    def _expect(self, path: Path, takes: tuple[int, ...], samples: np.ndarray) -> None:
        """`DataError` unless a network takes what it is to be given."""
        if takes != samples.shape:
            raise DataError(
                f"{path}: takes {takes}; expected {samples.shape}, as the network of {self.source}"
            )


@functools.lru_cache(maxsize=8)
def _onnx_session(path: Path) -> Any:
    """A network in memory, without any state; one thread, so that sums have one order."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors alone
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@contextmanager
def _muted() -> Iterator[None]:
    """Nothing on the standard error stream: LiteRT greets there, without a switch, in every process."""
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)
