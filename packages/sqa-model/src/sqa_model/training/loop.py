"""Train a MOS model: `train(config, folder)`, a page that says what happens; each noun in it is a file.

`run` is what the page works with. `plan` says what is done when, `source` reads it, `state` holds what can be lost and
computes an update, `evaluate` measures, `journal` tells, `run_folder` keeps everything whole.
"""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from sqa_model.training.clips import SHOWN
from sqa_model.training.config import TrainConfig
from sqa_model.training.evaluate import Results, summary
from sqa_model.training.journal import Watch, log
from sqa_model.training.kept import write_best
from sqa_model.training.processes import Stopped
from sqa_model.training.run import Run, opened


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
    config: TrainConfig, folder: str | Path, *, watch: Watch = lambda event: None, extend: bool = False
) -> Result:
    """Train as `config` says in the run folder `folder`, going on from its last checkpoint if it has one.

    Started by torchrun, all processes train one model together. Ctrl-C (or SIGTERM) ends the current update or
    evaluation, saves and returns. `watch` is called with an `Event` for all that happens, in the first process.
    extend: `config` may give a run that is there more to do, see `go_on`.

    Raises `ModelError` for anything wrong with config, data or run folder, and for a loss that is no number;
    `DataError` for a wrong line of a manifest.
    """
    with opened(config, Path(folder), watch, extend) as run:
        learner, finished = run.learner, True
        try:
            run.evaluate_if_due()
            for work, batch in run.works():
                if run.is_stale():
                    break
                totals = run.count(batch)
                step = learner.step(work, batch, run.audio, totals)
                run.journal.updated(work, step, totals.seconds)
                run.evaluate_if_due()
                run.save_if_due()
        except Stopped:
            finished = False
            run.save()
        run.group.wait()
        return _result(run, finished)


def _result(run: Run, finished: bool) -> Result:
    """Tell how the run ended."""
    state = run.learner.state
    if not finished:
        kept = "saved in last/" if state.update else "nothing to save"
        told = "stopped after update %d of %d, %s; the same command goes on"
        log.info(told, state.update, run.plan.total, kept)
    if skipped := list(run.audio.unreadable):
        more = f"; and {len(skipped) - SHOWN:,} more" if len(skipped) > SHOWN else ""
        log.warning("skipped %d audio files: %s%s", len(skipped), "; ".join(skipped[:SHOWN]), more)
    if state.parent and not state.best_update:
        log.info("the parent stays best: %s", summary(state.parent, run.config.eval.head))
    if run.group.first:
        # a run of an earlier version may have none
        write_best(run.folder, state, run.config.eval)
    result = Result(
        run.folder, state.update, finished, state.best_update, state.best, state.last, state.parent
    )
    run.journal.tell("end", state.update, asdict(result))
    return result
