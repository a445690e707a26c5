"""Train a MOS model: `train(config, folder)`, a page that says what happens; each noun in it is a file.

`plan` says what is done when, `source` reads it, `state` holds what can be lost and computes an update, `evaluate`
measures, `journal` tells, `run_folder` keeps everything whole.
"""

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event

import torch
from torch import Tensor

from sqa_model.errors import ModelError
from sqa_model.network.products import by_onednn, exact, onednn_pays
from sqa_model.training import run_folder
from sqa_model.training.begin import begin
from sqa_model.training.compare import compared, pair_figures
from sqa_model.training.config import TrainConfig
from sqa_model.training.evaluate import Results, agreement, predictions, summary
from sqa_model.training.journal import Journal, Pace, log
from sqa_model.training.leaks import refuse_leaks
from sqa_model.training.optimizer import told
from sqa_model.training.pairs import Pairs
from sqa_model.training.plan import Crop, Plan, Work
from sqa_model.training.processes import Processes, processes, stop_signals
from sqa_model.training.source import ClipReader, MicroBatch, check_unreadable
from sqa_model.training.state import Learner, Step, Totals


@dataclass(frozen=True)
class Progress:
    """Where a run is; given to `watch` after every update."""

    update: int
    total: int
    epoch: int
    loss: float
    audio_per_s: float  # seconds of audio per second, over all processes
    left_s: float


@dataclass(frozen=True)
class Result:
    """How a run ended. `best` and `last` are the development set's figures, see `evaluate.Results`."""

    folder: Path
    updates: int
    finished: bool  # False: stopped by Ctrl-C; the same command goes on
    best_update: int
    best: Results
    last: Results
    # of `model.init`, as the run started; empty without it. It is the best one where `best_update` is 0
    parent: Results = field(default_factory=dict)


def train(
    config: TrainConfig, folder: str | Path, *, watch: Callable[[Progress], None] = lambda progress: None
) -> Result:
    """Train as `config` says in the run folder `folder`, going on from its last checkpoint if it has one.

    Started by torchrun, all processes train one model together. Ctrl-C (or SIGTERM) ends the current update,
    saves and returns. Raises `ModelError` for anything wrong with config, data or run folder, and for a loss
    that is no number; `DataError` for a wrong line of a manifest.
    """
    with _open(config, Path(folder)) as run:
        learner, plan, state = run.learner, run.plan, run.learner.state
        stopped = False
        if config.model.init is not None and not state.update:
            run.evaluate()
            state.parent = state.last
        for work, batch in run.pace.over(run.batches):
            if config.eval.patience and state.stale >= config.eval.patience:
                log.info("stopping early: no better checkpoint in %d evaluations", state.stale)
                break
            totals = learner.count(batch, run.audio, run.stop.is_set())
            run.check_unreadable(totals)
            if totals.stop:
                stopped = True
                break

            step = learner.step(work, batch, run.audio, totals)
            run.pace.computed(totals.seconds)
            run.journal.record(work.update, _row(work, step, run.pace))
            left_s = run.pace.left_s(work.total - work.update)
            watch(Progress(work.update, work.total, work.epoch, step.loss, run.pace.audio_per_s, left_s))

            evaluated = plan.evaluate_after(work.update)
            if evaluated:
                run.evaluate()
            if evaluated or time.monotonic() - run.saved_at > 60 * config.run.save_minutes:
                run.save()

        if stopped:
            run.save()
            kept = "saved in last/" if state.update else "nothing to save"
            log.info(
                "stopped after update %d of %d, %s; the same command goes on", state.update, plan.total, kept
            )
        run.group.wait()
        for line in run.audio.unreadable:
            log.warning("skipped %s", line)
        if state.parent and not state.best_update:
            log.info("the parent stays best: %s", summary(state.parent, config.eval.head))
        return Result(
            run.folder, state.update, not stopped, state.best_update, state.best, state.last, state.parent
        )


@dataclass
class _Run:
    """What the loop works with."""

    config: TrainConfig
    folder: Path
    group: Processes
    stop: Event
    plan: Plan
    learner: Learner
    audio: ClipReader
    dev_audio: ClipReader
    dev_pairs: Pairs
    batches: Generator[tuple[Work, list[MicroBatch]], None, None]
    journal: Journal
    pace: Pace = field(default_factory=Pace)
    saved_at: float = field(default_factory=time.monotonic)

    def evaluate(self) -> None:
        """Measure the model, keep it as the best one if it is, and tell."""
        learner, state = self.learner, self.learner.state
        if learner.judge(self.measure()) and self.group.first:
            run_folder.replace(self.folder / "best", learner.save_model)
        self.journal.record(state.update, {"dev": state.last, "best_update": state.best_update})
        when = f"update {state.update}" if state.update else "before the first update"
        log.info("%s: %s", when, summary(state.last, self.config.eval.head))

    def measure(self) -> Results:
        """The figures of the averaged weights on the development set, equal on all processes."""
        learner, reader, dev = self.learner, self.dev_audio, self.dev_audio.clips

        def load(clip: int) -> Tensor:
            return reader.load(Crop(clip, 0.0))

        def score(chosen: list[int], items: list[Tensor]) -> Tensor:
            return learner.forward(MicroBatch([Crop(clip, 0.0) for clip in chosen], items), reader)

        def say(chosen: list[int], items: list[Tensor], pairs: list[tuple[int, int]]) -> Tensor:
            batch = MicroBatch([Crop(clip, 0.0) for clip in chosen], items)
            return learner.compare(batch, reader, pairs).cmos

        learner.model.eval()
        with torch.no_grad(), learner.averages_in_place():
            batch, workers = self.config.batch, self.config.run.workers
            heads = len(learner.names)
            scores, missing = predictions(score, load, dev, heads, batch, self.group, workers=workers)
            check_unreadable(missing, self.config.data.max_unreadable, "data.dev")
            results = agreement(dev, scores, learner.names)
            if len(self.dev_pairs):
                cmos, _ = compared(say, load, dev, self.dev_pairs, batch, self.group, workers=workers)
                for corpus, figures in pair_figures(dev, self.dev_pairs, cmos).items():
                    results[corpus] |= figures
        return results

    def check_unreadable(self, totals: Totals) -> None:
        """Stop if too many files of all processes failed; only then they tell each other which."""
        most = self.config.data.max_unreadable
        if totals.unreadable > most:
            gathered = self.group.gather(list(self.audio.unreadable))
            check_unreadable([line for lines in gathered for line in lines], most, "data.train")

    def save(self) -> None:
        """Keep all that the run needs to go on; before the first update that is nothing."""
        update = self.learner.state.update
        if self.group.first and update:
            fill = partial(self.learner.save, measured=self.plan.evaluate_after(update))
            run_folder.replace(self.folder / "last", fill)
        self.saved_at = time.monotonic()


@contextmanager
def _open(config: TrainConfig, folder: Path) -> Iterator[_Run]:
    """Everything that a run needs, checked, resumed and, in the end, closed."""
    with ExitStack() as stack:
        group = stack.enter_context(processes(config.run.device))
        stack.enter_context(torch.random.fork_rng())
        stop = stack.enter_context(stop_signals())
        if config.run.threads is not None:
            torch.set_num_threads(config.run.threads)

        torch.manual_seed(config.seed)
        run_folder.check_run(folder, config)
        start = begin(config)
        model, clips, dev = start.model, start.clips, start.dev
        # a run that has begun goes on
        refuse_leaks(clips, dev, "allow" if (folder / "last").exists() else config.data.leaks)
        plan = Plan(config, clips, group, start.pairs)
        learner = Learner(
            model,
            clips,
            config,
            group,
            pairs=start.pairs,
            frozen_heads=start.frozen_heads,
            provenance=start.provenance,
        )
        problem = ""
        if group.first:
            try:
                stack.enter_context(run_folder.open_run(folder, config, start.record))
            except ModelError as error:
                problem = str(error)
        # all wait for the first here, and all end if it cannot go on
        for text in filter(None, group.gather(problem)):
            raise ModelError(text)
        learner.resume(folder / "last")
        stack.enter_context(by_onednn(_onednn_multiplies(learner)))
        done = learner.state.update
        journal = stack.enter_context(closing(Journal(folder if group.first else None, config, done)))
        audio = stack.enter_context(closing(ClipReader(config, clips, model, config.data.max_seconds)))
        dev_audio = stack.enter_context(closing(ClipReader(config, dev, model, math.inf)))
        batches = stack.enter_context(closing(audio.batches(plan.after(done))))
        _log_start(learner, plan, audio, dev_audio, start.told)
        yield _Run(
            config, folder, group, stop, plan, learner, audio, dev_audio, start.dev_pairs, batches, journal
        )


def _onednn_multiplies(learner: Learner) -> bool:
    """Whether fp32 products are oneDNN's: measured when a run begins and kept, so that it ends with the same bits."""
    state, group = learner.state, learner.group
    if group.device.type != "cpu" or learner.config.precision != "fp32":
        return False
    if state.update == 0:
        state.onednn = group.gather(onednn_pays())[0]
    # a run may go on on another machine
    return state.onednn and exact()


def _row(work: Work, step: Step, pace: Pace) -> dict[str, object]:
    """What metrics.jsonl says of an update."""
    row: dict[str, object] = {
        "epoch": work.epoch,
        "loss": step.loss,
        "lr": step.lr,
        # fp16 meets infinity now and then, which is no JSON
        "grad_norm": step.grad_norm if math.isfinite(step.grad_norm) else None,
    }
    row |= {f"loss_{name}": value for name, value in step.head_losses.items()}
    row |= {"audio_per_s": pace.audio_per_s, "read_wait": pace.wait_share}
    return row | ({"cropped": work.cropped} if work.cropped else {})


def _log_start(
    learner: Learner, plan: Plan, audio: ClipReader, dev_audio: ClipReader, decisions: Sequence[str]
) -> None:
    clips, parameters = learner.clips, learner.model.parameters()
    log.info(
        "%d clips (%.1f h) of %d corpora, %d for development; %d updates, %d done; "
        "%.1f M of %.1f M weights learn",
        *(len(clips), clips.seconds.sum() / 3600, len(clips.corpora), len(dev_audio.clips)),
        *(plan.total, learner.state.update),
        *(sum(p.numel() for p in some) / 1e6 for some in (learner.trainable.values(), parameters)),
    )
    log.info("learning rates: %s", told(learner.terms.values()))
    if learner.state.onednn:
        log.info("oneDNN multiplies fp32 matrices: it is exact on this machine and faster than MKL")
    for line in decisions:
        log.info("%s", line)
    if audio.cache and dev_audio.cache:
        log.info(
            "features of %d + %d clips cached, %.1f GB when complete, in %s",
            *(audio.cache.stored, dev_audio.cache.stored),
            *((audio.cache.bytes + dev_audio.cache.bytes) / 1e9, learner.config.data.cache),
        )
