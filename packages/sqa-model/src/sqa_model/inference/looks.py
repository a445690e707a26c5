"""A clip on its way through the models: the windows that each looks at, batches of them, and what came of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from sqa_model.inference.windows import nearest_parts
from sqa_model.network.model import MosModel


@dataclass
class Look:
    """A clip as one model sees it: `windows` to score, of which the first `main` make the clip's score."""

    samples: Tensor  # (samples,) at the model's rate
    windows: list[slice]
    main: int
    scores: list[np.ndarray] = field(default_factory=list)  # of the windows so far, (heads,) each

    def stretches(self) -> list[slice]:
        """The samples that each window after the main ones stands for: quality over time."""
        return nearest_parts(self.windows[self.main :], len(self.samples))

    def outcome(self, names: Sequence[str]) -> tuple[list[dict[str, float]], list[str]]:
        """The scores by head of the clip and of each stretch, and the heads whose score is not finite."""
        nearest = nearest_parts(self.windows[: self.main], len(self.samples))
        weights = np.array([(share.stop - share.start) / len(self.samples) for share in nearest])
        scores = weights @ np.stack(self.scores[: self.main])
        bad: list[str] = []
        if not np.isfinite(self.scores).all():
            bad = [name for name, value in zip(names, scores, strict=True) if not np.isfinite(value)]
            bad = bad or list(names)
        rows = [scores, *self.scores[self.main :]]
        return [dict(zip(names, map(float, row), strict=True)) for row in rows], bad


@dataclass
class Job:
    """A clip, with a look of each model; or why there is none."""

    duration_s: float = 0.0
    warnings: tuple[str, ...] = ()
    looks: list[Look] = field(default_factory=list)
    error: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether every model has scored every window."""
        return all(len(look.scores) == len(look.windows) for look in self.looks)


@dataclass
class Batch:
    """Windows that go through a model together: the same ones as if it were the only model."""

    model: MosModel
    device: torch.device
    windows: list[tuple[Look, slice]] = field(default_factory=list)
    seconds: float = 0.0

    def add(self, look: Look, window: slice) -> None:
        """One more window."""
        self.windows.append((look, window))
        self.seconds += (window.stop - window.start) / self.model.config.sample_rate

    @torch.inference_mode()
    def score(self) -> None:
        """Run the model over them, note their scores and begin anew."""
        if self.windows:
            waves = [look.samples[window].to(self.device) for look, window in self.windows]
            for (look, _), scores in zip(self.windows, self.model(waves).double().cpu().numpy(), strict=True):
                look.scores.append(scores)
        self.windows, self.seconds = [], 0.0
