"""`sqa-cli average`: the mean of several models' weights becomes a model."""

from collections.abc import Sequence
from pathlib import Path

import click
from sqa_metrics.cli.options import NUMBER

from sqa_cli import options as o
from sqa_cli.terminal import say


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL ...")
@click.option("--out", required=True, type=o.FOLDER, help="Folder to write the model into.")
@click.option("--last", type=click.IntRange(1), metavar="N", help="Of a run folder, the last N kept.")
@click.option("--best", type=click.IntRange(1), metavar="N", help="Of a run folder, the best N kept.")
@click.option(
    "--weight",
    "weights",
    type=NUMBER,
    multiple=True,
    metavar="W",
    help="How much a model counts; once for each, in their order. Default: all the same.",
)
def average(
    models: tuple[str, ...], out: Path, last: int | None, best: int | None, weights: tuple[float, ...]
) -> None:
    """Average the weights of MODELs (folders, Hub ids) of one network into the folder OUT.

    \b
    Examples:
      sqa-cli average runs/mine/best runs/other/best --out models/mean
      sqa-cli average default runs/mine/best --weight 1 --weight 3 --out models/mean
      sqa-cli average runs/mine --last 5 --out models/mean
      sqa-cli average runs/mine --best 3 --out models/mean

    Worth trying with checkpoints of one run and with runs fine-tuned from one
    model. --last and --best take those in the run's kept/, which it has where
    it was trained with --set run.keep=N; what is best is what chose there.
    """
    sources = _sources(models, last, best)
    if weights and len(weights) != len(sources):
        raise click.UsageError(f"--weight is given {len(weights)} times for {len(sources)} models.")

    from sqa_data.atomic import lock
    from sqa_model.checkpoint.locate import check_name

    for name in sources:
        check_name(name)
    # torch takes seconds to load; a wrong name is told before
    from sqa_model.checkpoint.average import average as mean_of
    from sqa_model.checkpoint.ours import save

    with lock(out / ".convert"):
        mean = mean_of(sources, weights or None)
        save(mean, out)
    for part in mean.config.extra["average_of"]:
        say(f"{part['weight']:.3f}  {part['name']}  model {part['fingerprint']}")
    say(f"{out}: {', '.join(mean.config.names)}; model {mean.fingerprint()}")


def _sources(models: Sequence[str], last: int | None, best: int | None) -> list[str]:
    """The models to average: those named, or kept ones of a run."""
    count = last or best
    if count is None:
        return list(models)
    if len(models) > 1 or (last and best):
        raise click.UsageError("--last and --best take one run folder, and only one of them.")
    from sqa_model.training.kept import chosen

    return [str(path) for path in chosen(Path(models[0]), count, best=best is not None)]
