"""The command `pairs`."""

from typing import Any

import click

from sqa_metrics.cli.inputs import named, print_notes
from sqa_metrics.cli.options import (
    LEVEL,
    ONE_STDIN,
    OUTPUT,
    UTT2SYS,
    VERIFY,
    ExampleCommand,
    FloatRange,
    option,
    refuse,
    with_options,
)
from sqa_metrics.terminal import say, say_json, width

OF_PREDICTIONS = ("pred_metric", "acr_ref", "acr_pred", "epsilon", "allow_missing", "quoted")


@click.command(cls=ExampleCommand, short_help="Judge predictions of pairs (CCR, preferences); rank systems.")
@with_options(
    option("--ref", required=True, metavar="FILE", help="Listeners' comparisons, or - for standard input."),
    option("--pred", metavar="FILE", help="Predictions of the pairs, or of single clips."),
    option(
        "--ref-metric", metavar="NAME", help="Metric to read from the reference; CMOS by any of its names."
    ),
    option("--pred-metric", metavar="NAME", help="Metric to read from predictions."),
    UTT2SYS,
    option("--acr-ref", metavar="FILE", help="Also judge single clips: listeners' scores,"),
    option("--acr-pred", metavar="FILE", help="and their predictions."),
    option("--epsilon", default=0.0, type=FloatRange(0), help="Predictions so near to 0 are ties."),
    option("--ref-epsilon", default=0.0, type=FloatRange(0), help="Listeners' means likewise."),
    LEVEL,
    option("--strengths", is_flag=True, help="Also rank the systems by listeners' comparisons."),
    option("--allow-missing", is_flag=True, help="Judge the pairs that both files have."),
    VERIFY,
    *OUTPUT,
)
def pairs(pred: str | None, quoted: str | None, as_json: bool, style: Any, **options: Any) -> None:
    """Measure how well predictions agree with listeners who compared two clips.

    Prints MSE, LCC, SRCC, KTAU and accuracy, without and with ties, of pairs and of pairs of systems. A pair is a row
    {"a", "b", "metrics": {"cmos": 1.5}} (above 0: a is better) or {"a", "b", "preference": "a"}, a CSV row, or an
    answer list with ids of pairs. Predictions of single clips are judged by their difference. --strengths
    prints Bradley-Terry strengths (Davidson's where there are ties) of the systems; no --pred is needed for it.

    \b
    Examples:
      sqa-metrics pairs --ref ccr.jsonl --pred predicted.csv
      sqa-metrics pairs --ref ccr.jsonl --pred results.jsonl --strengths --json
      sqa-metrics pairs --ref preferences.csv --utt2sys utt2sys --strengths
      sqa-metrics pairs --ref ccr.csv --pred ccr_pred.csv --acr-ref acr.csv --acr-pred acr_pred.csv
    """
    from sqa_metrics.pairs.judge import judge_pairs, rank_systems
    from sqa_metrics.rows.read import read_utt2sys
    from sqa_metrics.signature import line, verify_signature

    files = [options[name] for name in ("ref", "utt2sys", "acr_ref", "acr_pred")]
    if [pred, *files].count("-") > 1:
        raise click.UsageError(ONE_STDIN)
    if pred is None:
        refuse("is of predictions; strengths alone have none", *OF_PREDICTIONS)
    ref, ranked = options.pop("ref"), options.pop("strengths")
    options["utt2sys"] = read_utt2sys(options["utt2sys"]) if options["utt2sys"] is not None else None
    if pred is not None:
        ((name, path),) = named((pred,)).items()
        found: Any = judge_pairs(ref, path, name=name, rank=ranked, **options)
    elif ranked:
        names = ("utt2sys", "ref_epsilon", "level")
        found = rank_systems(ref, metric=options["ref_metric"], **{name: options[name] for name in names})
    else:
        raise click.UsageError("expected --pred FILE, --strengths, or both")
    if as_json:
        say_json({"ref": ref, "pred": pred} | found.as_dict(), indent=2)
    else:
        say(found.table(style, width()), keep="\n")
        if pred is not None:
            say("", line(found.signature, style), keep="\n")
    print_notes(found.notes())
    if quoted is not None:
        verify_signature(found.signature, quoted)
