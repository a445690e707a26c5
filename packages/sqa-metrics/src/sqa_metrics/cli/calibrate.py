"""The command `calibrate`."""

import contextlib
from pathlib import Path
from typing import Any, BinaryIO

import click

from sqa_metrics.cli.inputs import named, once, print_notes, read
from sqa_metrics.cli.options import INPUT, ONE_STDIN, ExampleCommand, FloatRange, option, with_options
from sqa_metrics.terminal import say, say_json


@click.command(cls=ExampleCommand, short_help="Map a model's scores to your own listeners' MOS.")
@with_options(
    *INPUT,
    option("--pred", required=True, metavar="FILE", help="The model's scores of the rated clips, or -."),
    option("--out", required=True, type=click.Path(path_type=Path), help="The calibration to write."),
    option(
        "--coverage",
        default=0.95,
        type=FloatRange(0.5, 0.999),
        help="Share of clips that the interval covers.",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs."),
)
def calibrate(pred: str, out: Path, coverage: float, as_json: bool, **options: Any) -> None:
    """Map a model's scores to the MOS of your own listeners, with an interval.

    From 30 rated clips on. The map is an offset below 10 systems and affine from 10, its error is told on systems that
    were left out, and the interval covers at least --coverage of the clips of new systems, on average. Fewer than 19
    systems allow no finite 95 % interval over systems: it is then for new clips of the rated ones, and says so.

    \b
    Examples:
      sqa-metrics calibrate --ref mine.csv --pred results.jsonl --out cal.json
      sqa-cli predict new/ --calibration cal.json
    """
    if pred == options["ref"] == "-":
        raise click.UsageError(ONE_STDIN)
    source = once(pred)
    paired = read({name: source() for name in named((pred,))}, options)
    from sqa_metrics.calibration.fit import calibrate
    from sqa_metrics.calibration.record import as_dict, write_calibration

    made = calibrate(paired, coverage=coverage, metric=options["pred_metric"], model=model_of(source()))
    write_calibration(made, out)
    if as_json:
        say_json(as_dict(made) | {"notes": made.notes()}, indent=2)
    else:
        say(*made.summary())
    print_notes([*paired.notes, *made.notes()])


def model_of(file: BinaryIO) -> str | None:
    """The model that a results file names; MetricsError if it names several."""
    import orjson

    from sqa_metrics.errors import MetricsError

    models = set[str]()
    for line in file.read().splitlines():
        if b'"model"' in line:
            with contextlib.suppress(orjson.JSONDecodeError):
                row = orjson.loads(line)
                if isinstance(row, dict) and isinstance(row.get("model"), str):
                    models.add(row["model"])
    if len(models) > 1:
        raise MetricsError(
            f"{file.name}: rows of {len(models)} models ({', '.join(sorted(models))}); expected one"
        )
    return next(iter(models), None)
