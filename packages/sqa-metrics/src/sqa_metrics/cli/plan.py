"""The command `plan`."""

import math
from typing import TYPE_CHECKING, Any

import click

from sqa_metrics.cli.inputs import columns_of
from sqa_metrics.cli.options import NUMBER, OUTPUT, ExampleCommand, FloatRange, option, refuse, with_options
from sqa_metrics.cli.ratings import READING
from sqa_metrics.terminal import note, say, say_json, width

if TYPE_CHECKING:
    from sqa_metrics.plan import Spread

# What says how votes vary, and where that is read
VOTES = (
    *("pilot", "sd", "a", "mos", "rater_share", "clip_sd", "fresh_raters"),
    *("metric", "scale", "columns", "utt2sys"),
)


class Numbers(click.ParamType[tuple[float, ...]]):
    """So many numbers, parted as shown."""

    name = "numbers"

    def __init__(self, count: int, mark: str) -> None:
        self.count, self.mark = count, mark

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[float, ...]:
        try:
            numbers = tuple(map(float, str(value).split(self.mark)))
        except ValueError:
            numbers = ()
        if len(numbers) != self.count or not all(map(math.isfinite, numbers)):
            self.fail(
                f"{value!r}; expected {self.count} numbers, such as {self.mark.join('123'[: self.count])}",
                param,
                ctx,
            )
        return numbers


@click.command(cls=ExampleCommand, short_help="Plan a listening test: votes, clips, systems.")
@click.argument("pilot", required=False)
@with_options(
    option("--half-width", type=NUMBER, help="Wanted: a MOS within plus or minus this much."),
    option("--difference", type=NUMBER, help="Wanted: two systems this far apart told apart."),
    option("--predictors", type=Numbers(3, ","), metavar="R1,R2,R12", help="Wanted: two predictors told apart, of "
           "these correlations with listeners and this one with each other."),
    option("--sd", type=NUMBER, help="Standard deviation of the votes of a clip, without a pilot."),
    option("--a", type=NUMBER, help="Or the SOS parameter, with --mos (the scale's middle) and --scale."),
    option("--mos", type=NUMBER, help="MOS at which the test is planned."),
    option("--rater-share", type=NUMBER, default=0.0, help="Share of that variance that is raters' bias."),
    option("--clip-sd", type=NUMBER, default=0.0, help="Deviation of a system's clips around its MOS."),
    option("--fresh-raters", is_flag=True, help="Each vote is another rater's; else each rater hears all."),
    option("--power", type=FloatRange(0.05, 0.999), default=0.8, help="Chance to find a difference."),
    *READING,
    *OUTPUT,
)  # fmt: skip
def plan(pilot: str | None, **options: Any) -> None:
    """Plan a listening test: how many votes, clips or systems it needs.

    What varies comes from PILOT, single ratings as for `ratings` or MOS with votes and mos_std, or from
    --sd or --a. One of --half-width, --difference and --predictors says what is wanted.

    \b
    Examples:
      sqa-metrics plan pilot.csv --half-width 0.2
      sqa-metrics plan --a 0.25 --mos 3.5 --difference 0.3 --rater-share 0.2
      sqa-metrics plan --predictors 0.90,0.85,0.85
    """
    if sum(options[name] is not None for name in ("half_width", "difference", "predictors")) != 1:
        raise click.UsageError("one of --half-width, --difference and --predictors says what is wanted")
    from sqa_metrics.plan import systems_for_predictors

    level, power = options["level"], options["power"]
    if options["predictors"] is not None:
        refuse("says how votes vary; leave it out with --predictors, which is about systems", *VOTES)
        systems = systems_for_predictors(*options["predictors"], power=power, level=level)
        if options["as_json"]:
            say_json({"systems": systems, "power": power, "level": level}, indent=2)
        else:
            say(f"{systems} systems, all scored by both predictors, tell these apart with power {power:g}")
        return
    _votes(_spread(pilot, options), options)


def _spread(pilot: str | None, options: dict[str, Any]) -> "Spread":
    from sqa_metrics.plan import Spread

    given = [name for name in ("sd", "a") if options[name] is not None]
    if options["half_width"] is not None:
        refuse("goes with --difference or --predictors", "power")
    if len(given) + (pilot is not None) != 1:
        raise click.UsageError("one of PILOT, --sd and --a says how votes vary")
    more = {name: options[name] for name in ("rater_share", "clip_sd")}
    if given != ["a"]:
        refuse("goes with --a; otherwise votes vary alike at every MOS", "mos")
    if pilot is None:
        refuse("is about reading PILOT", "metric", "columns", "utt2sys")
        if given == ["sd"]:
            refuse("goes with PILOT or --a; votes that vary by --sd do so on any scale", "scale")
            return Spread.of_sd(options["sd"], **more)
        from sqa_metrics.rows.scales import KNOWN, one_scale

        return Spread.of_sos(options["a"], options["mos"], one_scale(options["scale"]) or KNOWN[0], **more)
    refuse("goes with --sd or --a; a pilot shows it itself", *more)
    return _of_pilot(pilot, options)


def _of_pilot(pilot: str, options: dict[str, Any]) -> "Spread":
    """From single ratings, or from MOS with votes and deviations."""
    import numpy as np

    from sqa_metrics.cli.inputs import once
    from sqa_metrics.plan import Spread
    from sqa_metrics.ratings import read_ratings
    from sqa_metrics.rows.names import one_side
    from sqa_metrics.rows.pick import pick
    from sqa_metrics.rows.read import read_scores, read_utt2sys, table_of
    from sqa_metrics.rows.systems import systems_of

    metric, columns = options["metric"], columns_of(options["columns"])
    systems = read_utt2sys(options["utt2sys"]) if options["utt2sys"] is not None else None
    source = once(pilot)
    if pick(table_of(source(), "pilot"), metric, "ref", one_side(columns, "ref")).listener is not None:
        found = read_ratings(source(), metric, scale=options["scale"], utt2sys=systems, columns=columns)
        return Spread.of_pilot(found)
    refuse("goes with single ratings or --a; the deviations of this PILOT are on any scale", "scale")
    scores = read_scores(source(), metric, role="ref", utt2sys=systems, columns=columns)
    names, _ = systems_of(scores.system_id, scores.sample_id, scores.corpus)
    number = {name: k for k, name in enumerate(sorted(set(names) - {""}))}
    missing = [float("nan")] * len(scores)
    return Spread.of_means(
        np.array(scores.value),
        np.array(scores.votes or missing),
        np.array(scores.std or missing),
        np.array([number.get(name, -1) for name in names]),
    )


def _votes(spread: "Spread", options: dict[str, Any]) -> None:
    from sqa_metrics.plan import CLIPS, votes_for_difference, votes_for_interval
    from sqa_metrics.tables import render

    level, power, fresh = options["level"], options["power"], options["fresh_raters"]

    def votes_for(clips: int) -> int | None:
        if options["half_width"] is not None:
            return votes_for_interval(
                spread, options["half_width"], clips=clips, level=level, fresh_raters=fresh
            )
        return votes_for_difference(
            spread, options["difference"], clips=clips, power=power, level=level, fresh_raters=fresh
        )

    votes = {clips: votes_for(clips) for clips in CLIPS}
    found = [(clips, each, each and clips * each) for clips, each in votes.items()]
    if options["as_json"]:
        rows = [dict(zip(("clips", "votes_per_clip", "votes"), design, strict=True)) for design in found]
        wanted = {k: options[k] for k in ("half_width", "difference") if options[k] is not None}
        say_json(
            wanted | {"level": level, "power": power, "variance": vars(spread), "designs": rows}, indent=2
        )
        return
    table = [["-" if number is None else str(number) for number in design] for design in found]
    say(
        render(["clips a system", "votes a clip", "votes a system"], table, options["style"], width()),
        keep="\n",
    )
    who = "each vote is another rater's" if fresh else "each rater hears all clips"
    note(
        f"note: standard deviations: {spread.rest**0.5:.3f} of a vote within a rater, {spread.rater**0.5:.3f} of "
        f"raters, {spread.clip**0.5:.3f} of a system's clips; {who}"
    )
    note("note: one clip stands for itself: what is found holds for it, and not for its system")
    if None in votes.values():
        note("note: - where no number of votes is enough: more clips (or raters) are needed")
