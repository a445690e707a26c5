"""The commands `score`, `compare` and `rank`: predictions read, joined with their reference, judged."""

from typing import Any

import click

from sqa_metrics.cli.inputs import finish, named, once, read, with_pairs
from sqa_metrics.cli.options import (
    INPUT,
    INTERVALS,
    JUDGED,
    P1401,
    ExampleCommand,
    option,
    refuse,
    require_p1401,
    with_options,
)
from sqa_metrics.interval import recipe_name
from sqa_metrics.terminal import say, say_json, width

RULE = (
    "pairs and pairs of systems are two more levels: each figure weighs alike inside Error, Linear and Rank, where "
    "accuracy is one of Rank. This rule is ours; VoiceMOS 2026 publishes none"
)


@click.command(cls=ExampleCommand, short_help="Measure predictions against listeners.")
@with_options(*INPUT, click.option("--pred", required=True, metavar="FILE", help="Predicted scores, or -."))
@click.option("--ci", is_flag=True, help="Add confidence intervals and the ceiling that votes set.")
@with_options(*INTERVALS, *P1401, *JUDGED)
def score(pred: str, ci: bool, level: float, **options: Any) -> None:
    """Measure how well predicted scores agree with listeners.

    Prints MSE, LCC, SRCC and KTAU at the utterance and the system level. Reads JSON Lines
    ({"sample_id", "system_id", "metrics": {"mos": ...}}), CSV, answer lists (utt,score) and Kaldi
    scp. Every utterance of one file must be in the other, once; see --allow-missing.

    \b
    Examples:
      sqa-metrics score --ref ref.jsonl --pred pred.jsonl
      sqa-metrics score --ref ref.jsonl --pred pred.jsonl --ci --json
      sqa-metrics score --ref ref.csv --pred mos.scp --utt2sys utt2sys
      sqa-metrics score --ref ratings.csv --pred pred.jsonl --p1401 --mapping linear
      sqa-metrics score --ref ref.jsonl --pred pred.jsonl --pred-metric scoreq --format latex
    """
    require_p1401(options)
    if not ci:
        refuse("is of intervals; it goes with --ci", "level")
    paired = read(named((pred,)), options)
    if ci:
        from sqa_metrics.uncertainty.intervals import with_uncertainty

        (result,) = with_uncertainty(paired, level=level)
    else:
        from sqa_metrics.report import evaluate

        result = evaluate(paired)
    if options["p1401"]:
        from sqa_metrics.p1401.levels import with_p1401

        result = with_p1401(result, paired, mapping=options["mapping"], d=options["freedom"])
    if options["as_json"]:
        say_json({"ref": options["ref"], "pred": pred} | result.as_dict(), indent=2)
    else:
        say(result.table(options["style"], width()), keep="\n")
    finish([result], options)


@click.command(cls=ExampleCommand, short_help="Test whether predictors differ, with intervals.")
@click.argument("preds", nargs=-1, required=True, metavar="PRED PRED...")
@click.option("--unpaired", is_flag=True, help="Predictors scored different utterances of the same systems.")
@option("--baseline", metavar="NAME", help="Compare with this predictor alone.")
@option("--figure", metavar="FIGURE", help="The one that p (Holm) is for: srcc, utterance_srcc, ...")
@with_options(*INPUT, *INTERVALS, *P1401, *JUDGED)
def compare(
    preds: tuple[str, ...],
    unpaired: bool,
    level: float,
    baseline: str | None,
    figure: str | None,
    **options: Any,
) -> None:
    """Test whether predictors differ on the same utterances.

    For every two predictors and every figure: the difference, its interval, a two-sided p-value, and
    the p-value after Holm's correction: over all of them, or with --baseline and --figure over what
    you wanted to know beforehand. PRED is a file or NAME=FILE.

    \b
    Examples:
      sqa-metrics compare --ref ref.jsonl a.jsonl b.jsonl
      sqa-metrics compare --ref ref.jsonl ours=a.jsonl b.jsonl c.jsonl --baseline ours --figure srcc
      sqa-metrics compare --ref ref.jsonl a.jsonl b.jsonl --unpaired --json
    """
    require_p1401(options)
    if unpaired:
        refuse("is of the same utterances; --unpaired takes of each file what it has", "allow_missing")
        refuse("judges predictors of the same clips; leave out --unpaired", "p1401")
    predictors, telecom = named(preds), None
    asked: dict[str, Any] = {"level": level, "baseline": baseline, "figure": figure}
    from sqa_metrics.uncertainty import differences as tests

    if unpaired:
        ref = once(options["ref"])
        parts = [
            read({name: path}, options | {"ref": ref(), "allow_missing": True})
            for name, path in predictors.items()
        ]
        reports, found = tests.compare_unpaired(parts, **asked)
    else:
        paired = read(predictors, options)
        from sqa_metrics.uncertainty.intervals import with_uncertainty
        from sqa_metrics.uncertainty.left_out import left_out

        without = left_out(paired)
        found = tests.compare(paired, **asked, without=without)
        reports = with_uncertainty(paired, level=level, without=without)
        if options["p1401"]:
            from sqa_metrics.p1401.compare import compare_p1401

            reports, telecom = compare_p1401(
                paired, reports, mapping=options["mapping"], d=options["freedom"]
            )
    if options["as_json"]:
        result: dict[str, Any] = {"ref": options["ref"], "predictors": [r.as_dict() for r in reports]}
        result["differences"], result["family"] = [d.as_dict() for d in found], tests.family(found)
        say_json(result | ({"p1401": telecom.as_dict()} if telecom else {}), indent=2)
    else:
        tables = [f"{r.name}\n{r.table(options['style'], width())}\n" for r in reports]
        tables.append(tests.table(found, level, options["style"], width()))
        tables += ["", telecom.table(options["style"], width())] if telecom else []
        say(*tables, keep="\n")
    more = tests.notes(found) + ([telecom.caveat] if telecom else [])
    finish(reports, options, more)


@click.command(cls=ExampleCommand, short_help="Rank predictors as the challenge does.")
@click.argument("preds", nargs=-1, required=True, metavar="PRED PRED...")
@with_options(
    *INPUT,
    option("--pairs-ref", metavar="FILE", help="Rank by pairs too: listeners' comparisons of two clips."),
    option(
        "--pairs-pred",
        "pairs_preds",
        multiple=True,
        metavar="NAME=FILE",
        help="Predictions of the pairs by the predictor NAME; else the difference of its scores.",
    ),
    *INTERVALS,
    *JUDGED,
)
def rank(
    preds: tuple[str, ...], level: float, pairs_ref: str | None, pairs_preds: tuple[str, ...], **options: Any
) -> None:
    """Rank predictors as the challenge does, with the certainty of each place.

    Dense rank for each of the eight figures, mean inside Error, Linear and Rank, mean of the three
    (lower is better). Beside each place stand those that tests of every two predictors in every
    figure leave open. PRED is a file or NAME=FILE.

    With --pairs-ref the figures of pairs and of pairs of systems (as in `pairs`) count too: each figure
    weighs alike inside Error, Linear and Rank, where accuracy is one of Rank. This rule is ours; VoiceMOS
    2026 publishes none.

    \b
    Examples:
      sqa-metrics rank --ref ref.jsonl team1.jsonl team2.jsonl team3.jsonl
      sqa-metrics rank --ref ref.jsonl submissions/*.scp --format markdown
      sqa-metrics rank --ref acr.jsonl --pairs-ref ccr.jsonl a.jsonl b.jsonl --pairs-pred b=b_ccr.csv
    """
    sources: dict[str, Any] = named(preds)
    own, compared, more = named(pairs_preds), list[Any](), list[str]()
    if pairs_ref is None:
        refuse("goes with --pairs-ref", "pairs_preds")
    else:
        sources, compared = with_pairs(sources, pairs_ref, own, options)
        by_scores = [name for name in sources if name not in own]
        more = [RULE] + [f"pairs by the difference of scores: {', '.join(by_scores)}"] * bool(by_scores)
    paired = read(sources, options)
    from sqa_metrics.ranking import rank, table

    places = rank(paired, pairs=compared, level=level)
    reports = [p.report for p in places]
    recipe = recipe_name(level)
    if options["as_json"]:
        from sqa_metrics.signature import signature

        signed = {"signature": signature(reports[0], recipe)}
        told = {"ref": options["ref"]} | ({"pairs_ref": pairs_ref} if pairs_ref else {})
        say_json(told | signed | {"ranking": [p.as_dict() for p in places]}, indent=2)
    else:
        say(table(places, level, options["style"], width()), keep="\n")
    finish(reports, options, more, recipe)
