"""What `sqa-cli train --dry-run` prints: the plan of a run, its memory and its time, and how these are known."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sqa_cli import options as o
from sqa_cli.terminal import entry, say, say_json, table

if TYPE_CHECKING:
    from sqa_model.training.config import TrainConfig
    from sqa_model.training.dry_run import Estimate, Memory, Piece, Time


def say_estimate(config: "TrainConfig", out: Path, as_json: bool, extend: bool = False) -> None:
    """Do a little of the run and print what all of it will take, for as many processes as torchrun has started."""
    from sqa_model.training.dry_run import dry_run

    found = dry_run(config, out, processes=int(os.environ.get("WORLD_SIZE", "1")), extend=extend)
    if as_json:
        say_json(found.as_dict())
        return
    rows = [
        [name, use, o.count(int(corpus["clips"])), f"{corpus['hours']:.2f}", _times(corpus)]
        for use, corpora in (("train", found.corpora), ("dev", found.dev))
        for name, corpus in corpora.items()
    ]
    say(*table(["corpus", "used to", "clips", "hours", "times an epoch"], rows, right="clips hours"))
    for line in found.told:
        say(*entry("", line))
    say(*_plan(found, config.data.max_seconds), *_memory(found.memory, found), *_time(found.time))
    if found.cache is not None:
        say(*entry("disk", f"{o.size(found.cache)} in {config.data.cache} for the features, when complete"))


def _times(corpus: dict[str, float]) -> str:
    """How often a clip of a corpus is used in an epoch."""
    return f"{corpus['times_an_epoch']:g}" if "times_an_epoch" in corpus else ""


def _plan(found: "Estimate", max_seconds: float) -> list[str]:
    share = f" on each of {found.processes} processes together" if found.processes > 1 else ""
    done = f", {found.done:,} of them done" if found.done else ""
    lines = entry(
        "plan",
        f"{found.updates:,} updates in {found.epochs:,} epochs{done}; {found.evaluations:,} evaluations",
    )
    if found.cropped:
        lines += entry("", f"{found.cropped:,} clips are longer than {max_seconds:g} s and cut to a window")
    if found.pairs:
        lines += entry("", f"{found.pairs:,} pairs")
    learning = f"{found.learning / 1e6:.1f} M of {found.parameters / 1e6:.1f} M weights learn, on {found.device}{share}"
    return lines + entry("", learning)


def _memory(memory: "Memory", found: "Estimate") -> list[str]:
    parts = [("weights", memory.weights), ("gradients", memory.gradients), ("optimizer", memory.optimizer)]
    parts += [("averages", memory.averages)] if memory.averages else []
    if memory.training:
        parts.append(("activations", memory.total - sum(size for _, size in parts)))
    told = ", ".join(f"{name} {o.size(size)}" for name, size in parts)
    each = " in each process" if found.processes > 1 else ""
    lines = entry("memory", f"{o.size(memory.total)}{each}: {told}")
    for what, piece in (
        ("the largest micro-batch", memory.training),
        ("the largest batch of an evaluation", memory.evaluation),
    ):
        if piece:
            lines += entry("", f"{what}: {_piece(piece)}")
    if memory.training is None:
        lines += entry("", "activations were not measured: the rest alone does not fit")
    lines += entry(
        "",
        "counted: tensors, the most alive at a time; not what kernels need inside, nor Python and torch themselves",
    )
    if memory.fits is False:
        free = o.size((memory.free or 0) + memory.weights + memory.gradients)
        remedy = "lower batch.micro_seconds (the result stays the same), or set run.checkpointing=true"
        lines += entry("", f"does not fit: there are {free}; {remedy}")
    return lines


def _piece(piece: "Piece") -> str:
    how = "computed whole"
    if piece.computed_clips < piece.clips:
        how = f"carried on from the first {piece.computed_clips:,} of them"
    return f"{o.size(piece.bytes)} for {piece.clips:,} clips ({piece.seconds:.1f} s), {how}"


def _time(time: "Time | None") -> list[str]:
    if time is None:
        return []
    told = (
        f"about {_span(time.total)}: {_span(time.update)} an update, {_span(time.evaluation)} an evaluation"
    )
    rates = (
        f"timed on {time.timed} micro-batches, here and now: a second learns from {time.audio_per_s:.3g} s of audio "
        f"and reads {time.read_per_s:.3g} s"
    )
    return entry("time", told) + entry("", rates)


def _span(seconds: float) -> str:
    """A time in the units that suit it.

    >>> _span(0.25), _span(75.0), _span(9000.0), _span(200_000.0)
    ('0.25 s', '1 min 15 s', '2 h 30 min', '2 d 7 h')
    """
    if seconds < 60:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    if seconds < 86_400:
        return f"{seconds // 3600:.0f} h {seconds % 3600 // 60:.0f} min"
    return f"{seconds // 86_400:.0f} d {seconds % 86_400 // 3600:.0f} h"
