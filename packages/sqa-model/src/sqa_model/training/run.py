"""A run that is open: everything that the loop works with, checked, resumed and, in the end, closed."""

import math
import time
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Event as Signal

import torch
from torch import Tensor

from sqa_model.errors import ModelError
from sqa_model.network.comparison import in_both_orders
from sqa_model.network.products import by_onednn, exact, has_bfloat16, onednn_pays
from sqa_model.training import kept, run_folder
from sqa_model.training.begin import Start, begin
from sqa_model.training.compare import compared, pair_figures
from sqa_model.training.config import TrainConfig
from sqa_model.training.evaluate import Results, agreement, predictions, summary
from sqa_model.training.journal import Journal, Watch, log
from sqa_model.training.leaks import refuse_leaks
from sqa_model.training.optimizer import told
from sqa_model.training.pairs import Pairs
from sqa_model.training.plan import Crop, Plan, Work
from sqa_model.training.processes import Processes, Stopped, processes, stop_signals
from sqa_model.training.source import ClipReader, MicroBatch, check_unreadable
from sqa_model.training.state import Learner, Totals


@dataclass
class Run:
    """What the loop works with."""

    config: TrainConfig
    folder: Path
    group: Processes
    stop: Signal
    plan: Plan
    learner: Learner
    audio: ClipReader
    dev_audio: ClipReader
    dev_pairs: Pairs
    batches: Generator[tuple[Work, list[MicroBatch]], None, None]
    journal: Journal
    saved_at: float = field(default_factory=time.monotonic)
    saved: int = -1  # updates done then

    def works(self) -> Iterator[tuple[Work, list[MicroBatch]]]:
        """What is left to do, read ahead; how long each is waited for is noted."""
        return self.journal.pace.over(self.batches)

    def count(self, batch: Sequence[MicroBatch]) -> Totals:
        """What all processes hold of an update.

        Raises `Stopped` where one of them was asked to end, `ModelError` where too many files of all failed.
        """
        totals = self.learner.count(batch, self.audio, self.stop.is_set())
        most = self.config.data.max_unreadable
        if totals.unreadable > most:
            # only now they tell each other which
            gathered = self.group.gather(list(self.audio.unreadable))
            check_unreadable([line for lines in gathered for line in lines], most, "data.train")
        if totals.stop:
            raise Stopped
        return totals

    def evaluate_if_due(self) -> None:
        """Measure the weights as they are, if the plan says so and it has not been done; save then.

        It has not been done after an update, before the first one of `model.init`, and where it was stopped.
        """
        state = self.learner.state
        if state.evaluated == state.update or not self.plan.evaluate_after(state.update):
            return
        results = self.measure()
        better = self.learner.judge(results)
        if better and self.group.first:
            kept.keep_best(self.folder, self.learner)
        if self.group.first:
            kept.keep(self.folder, self.learner, self.config.run.keep)
        self.journal.record("evaluation", state.update, {"dev": results, "best_update": state.best_update})
        when = f"update {state.update}" if state.update else "before the first update"
        log.info("%s: %s", when, summary(results, self.config.eval.head))
        self.save()

    def measure(self) -> Results:
        """The figures of the averaged weights on the development set, equal on all processes.

        Raises `Stopped` where one of them was asked to end meanwhile.
        """
        learner, reader, dev = self.learner, self.dev_audio, self.dev_audio.clips

        def load(clip: int) -> Tensor:
            return reader.load(Crop(clip, 0.0))

        def score(chosen: list[int], items: list[Tensor]) -> Tensor:
            return learner.forward(MicroBatch([Crop(clip, 0.0) for clip in chosen], items), reader)

        def say(chosen: list[int], items: list[Tensor], pairs: list[tuple[int, int]]) -> Tensor:
            batch = MicroBatch([Crop(clip, 0.0) for clip in chosen], items)
            return in_both_orders(partial(learner.compare, batch, reader), pairs).cmos

        learner.model.eval()
        with torch.no_grad(), learner.averages_in_place():
            batch, heads, group = self.config.batch, len(learner.names), self.group
            workers, stop = self.config.run.workers, self.stop.is_set
            scores, missing = predictions(score, load, dev, heads, batch, group, workers=workers, stop=stop)
            check_unreadable(missing, self.config.data.max_unreadable, "data.dev")
            results = agreement(dev, scores, learner.names)
            if len(self.dev_pairs):
                pairs = self.dev_pairs
                cmos, _ = compared(say, load, dev, pairs, batch, group, workers=workers, stop=stop)
                for corpus, figures in pair_figures(dev, pairs, cmos).items():
                    results[corpus] |= figures
        return results

    def is_stale(self) -> bool:
        """Whether there were so many evaluations without a better one that the run ends early."""
        stale = self.learner.state.stale
        if not self.config.eval.patience or stale < self.config.eval.patience:
            return False
        log.info("stopping early: no better checkpoint in %d evaluations", stale)
        return True

    def save_if_due(self) -> None:
        """Save where that was not done for `run.save_minutes`."""
        minutes = (time.monotonic() - self.saved_at) / 60
        if minutes > self.config.run.save_minutes and self.saved != self.learner.state.update:
            self.save()

    def save(self) -> None:
        """Keep all that the run needs to go on; before the first update that is nothing."""
        if self.group.first and self.learner.state.update:
            run_folder.replace(self.folder / "last", self.learner.save)
        self.saved_at, self.saved = time.monotonic(), self.learner.state.update


@contextmanager
def opened(config: TrainConfig, folder: Path, watch: Watch, extend: bool = False) -> Iterator[Run]:
    """The run of `config` in `folder`, new, gone on with or extended; other processes are kept out meanwhile."""
    with ExitStack() as stack:
        group = stack.enter_context(processes(config.run.device))
        stack.enter_context(torch.random.fork_rng())
        stop = stack.enter_context(stop_signals())
        if config.run.threads is not None:
            torch.set_num_threads(config.run.threads)

        changed = run_folder.check_run(folder, config, extend)
        start, plan, learner = prepare(config, group, folder)
        clips, dev, model = start.clips, start.dev, learner.model
        problem = ""
        if group.first:
            try:
                stack.enter_context(run_folder.open_run(folder, config, start.record, extend))
            except ModelError as error:
                problem = str(error)
        # all wait for the first here, and all end if it cannot go on
        for text in filter(None, group.gather(problem)):
            raise ModelError(text)
        learner.resume(folder / "last")
        stack.enter_context(by_onednn(onednn_multiplies(learner)))
        done = learner.state.update
        if group.first:
            kept.forget_after(folder, done)
        journal = Journal(folder if group.first else None, config, done, plan.total, watch)
        stack.enter_context(closing(journal))
        audio = stack.enter_context(closing(ClipReader(config, clips, model, config.data.max_seconds)))
        dev_audio = stack.enter_context(closing(ClipReader(config, dev, model, math.inf)))
        batches = stack.enter_context(closing(audio.batches(plan.after(done))))
        if changed:
            log.info("extended after update %d: %s", done, "; ".join(changed))
        _log_start(learner, plan, audio, dev_audio, start.told)
        yield Run(
            config, folder, group, stop, plan, learner, audio, dev_audio, start.dev_pairs, batches, journal
        )


def prepare(config: TrainConfig, group: Processes, folder: Path) -> tuple[Start, Plan, Learner]:
    """What a run in `folder` starts from, what it does when, and who learns, as before the first update."""
    torch.manual_seed(config.seed)
    if config.precision == "bf16" and not has_bfloat16(group.device):
        log.warning("this processor has no bfloat16 products, which will be very slow: set precision=fp32")
    start = begin(config)
    # a run that has begun goes on
    refuse_leaks(start.clips, start.dev, "allow" if (folder / "last").exists() else config.data.leaks)
    learner = Learner(
        start.model,
        start.clips,
        config,
        group,
        pairs=start.pairs,
        ratings=start.ratings,
        frozen_heads=start.frozen_heads,
        provenance=start.provenance,
    )
    if config.optim.moments and not (folder / "last").exists():
        learner.take_moments(Path(str(config.model.init)))
    return start, Plan(config, start.clips, group, start.pairs), learner


def onednn_multiplies(learner: Learner) -> bool:
    """Whether fp32 products are oneDNN's: measured when a run begins and kept, so that it ends with the same bits."""
    state, group = learner.state, learner.group
    if group.device.type != "cpu" or learner.config.precision != "fp32":
        return False
    if state.update == 0:
        state.onednn = group.gather(onednn_pays())[0]
    # a run may go on on another machine
    return state.onednn and exact()


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
    if factors := learner.lora.weights:
        rank = learner.config.optim.lora_rank
        log.info("LoRA: factors of rank %d beside %d linear layers", rank, len(factors) // 2)
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
