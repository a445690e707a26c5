"""The options that commands share, and the command that shows its examples."""

import functools
import math
from collections.abc import Callable
from typing import Any

import click
from click.core import ParameterSource

Command = Callable[..., None]

option = functools.partial(click.option, show_default=True)


class Number(click.types.FloatParamType):
    """A finite number: click's own type takes NaN and infinity."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        return _finite(self, super().convert(value, param, ctx), param, ctx)


class FloatRange(click.FloatRange):
    """A finite number in a range: click's own lets NaN through every bound, and infinity where there is none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        return _finite(self, super().convert(value, param, ctx), param, ctx)


def _finite(
    kind: "click.ParamType[Any]", number: float, param: click.Parameter | None, ctx: click.Context | None
) -> float:
    if not math.isfinite(number):
        kind.fail(f"{number} is not a finite number.", param, ctx)
    return number


NUMBER = Number()

COLUMNS = option(
    "--columns",
    multiple=True,
    metavar="WHAT=NAME,...",
    help="Names of columns that are not recognised: mos=SIG,sample_id=file; ref:mos=... for one side; "
    "corpus= for none.",
)
UTT2SYS = option(
    "--utt2sys",
    metavar="FILE",
    help="The system of each clip, where a file does not say: Kaldi's utt2sys, or a manifest (JSON Lines).",
)
INPUT = [
    option("--ref", required=True, metavar="FILE", help="Listeners' scores, or - for standard input."),
    option(
        "--ref-metric", default="mos", help="Metric to read from the reference (where columns have names)."
    ),
    option(
        "--pred-metric", default="mos", help="Metric to read from predictions (where columns have names)."
    ),
    UTT2SYS,
    COLUMNS,
    option(
        "--scale",
        metavar="LOW..HIGH",
        help="The scale of both sides, or ref:0..100,pred:1..5, which maps predictions. Found where not given.",
    ),
    option("--allow-missing", is_flag=True, help="Score the utterances that all files have."),
]
LEVEL = option("--level", default=0.95, type=FloatRange(0.5, 0.999), help="Confidence of the intervals.")


def _gone(context: click.Context, parameter: click.Parameter, value: object) -> None:
    if value is not None:
        raise click.UsageError(
            f"{parameter.opts[0]} is gone: intervals and tests leave out one system at a time and draw nothing "
            "by chance; take it out of the command"
        )


# Of intervals, with the options of 0.1.0's bootstrap
INTERVALS = [LEVEL] + [
    click.option(name, hidden=True, expose_value=False, callback=_gone)
    for name in ("--resamples", "--seed", "--method")
]
STYLE = click.Choice(["text", "markdown", "latex", "html"])
P1401 = [
    option("--p1401", is_flag=True, help="Add the figures of ITU-T P.1401, unmapped and mapped."),
    option(
        "--mapping",
        type=click.Choice(["cubic", "linear", "none"]),
        default="cubic",
        help="Mapping of --p1401, rising over the scale.",
    ),
    option(
        "--freedom",
        metavar="D",
        type=click.IntRange(0),
        help="d in the n - d of --p1401.  [default: 4 cubic, 2 linear, 0 none]",
    ),
]
VERIFY = option(
    "--verify-signature", "quoted", metavar="SIG", help="Exit with 1 if the signature is not SIG."
)
_CONDITIONS = [
    option(
        "--align",
        type=click.Choice(["none", "offset", "affine"]),
        default="none",
        help="Take the mean of each corpus out, or its slope too: agreement inside corpora alone.",
    ),
    VERIFY,
]
ONE_STDIN = "standard input (-) can be only one of the files"
OUTPUT = [
    option("--json", "as_json", is_flag=True, help="Print JSON, for programs."),
    option("--format", "style", type=STYLE, default="text", help="Kind of table."),
]
JUDGED = [*_CONDITIONS, *OUTPUT]


class ExampleCommand(click.Command):
    """Shows its examples under the name of the program that runs it, `sqa-metrics` or `sqa-cli`."""

    def invoke(self, ctx: click.Context) -> Any:
        if ctx.params.get("as_json"):
            refuse("is of tables; leave it out with --json", "style")
        return super().invoke(ctx)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        program = ctx.find_root().info_name or "sqa-metrics"
        written = self.help or ""
        self.help = written.replace("sqa-metrics ", program + " ")
        super().format_help_text(ctx, formatter)
        self.help = written


def with_options(*options: Any) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def refuse(why: str, *names: str) -> None:
    """UsageError where one of these parameters of the running command is given, though it would have no effect.

    `why` follows the option's name, as in "goes with --p1401".
    """
    context = click.get_current_context()
    for parameter in context.command.params:
        given = context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
        if parameter.name in names and given:
            name = parameter.opts[0]
            raise click.UsageError(f"{name if name.startswith('-') else name.upper()} {why}", context)


def require_p1401(options: dict[str, Any]) -> None:
    """UsageError where an option is given that only --p1401 heeds."""
    if not options["p1401"]:
        refuse("goes with --p1401", "mapping", "freedom")
