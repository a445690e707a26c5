"""`sqa-cli submit`: the challenge's zip from a results file."""

from pathlib import Path
from typing import Any

import click
from sqa_metrics.cli.options import NUMBER

from sqa_cli import options as o
from sqa_cli.terminal import note, say


@click.command()
@click.argument("results", type=o.FILE_HERE)
@click.option("--out", required=True, type=o.FILE, help="The zip to write.")
@click.option("--team", required=True, help="Name of the team.")
@click.option("--data", default="", help="Training data, in words.")
@click.option("--system-type", default="", help="Such as single model or ensemble.")
@click.option("--model-size", type=NUMBER, required=True, help="Parameters in millions.")
@click.option("--loss", default="", help="Training loss, in words.")
@click.option("--pretrained", multiple=True, help="A pretrained model that was used. Repeatable.")
@click.option("--expected", multiple=True, help="What was to be scored (folder, list, ...). Repeatable.")
@click.option("--count", type=click.IntRange(1), help="How many scores there must be: 6900 in validation.")
@click.option("--metric", default="mos", show_default=True, help="Which head to submit.")
def submit(
    results: Path,
    out: Path,
    expected: tuple[str, ...],
    count: int | None,
    metric: str,
    pretrained: tuple[str, ...],
    **about: Any,
) -> None:
    """Write the challenge's submission from the RESULTS of `sqa-cli predict`.

    Refuses, and writes nothing, if a row is doubled, failed, not finite or has a blank in its name, and with
    --expected or --count if one is missing or extra.

    \b
    Examples:
      sqa-cli submit results.jsonl --out team.zip --team us --model-size 128 --count 6900
      sqa-cli submit results.jsonl --out team.zip --team us --model-size 2 --expected test/
    """
    from sqa_data.clip_list import list_clips
    from sqa_model.inference.submission import write_submission

    names = [clip.sample_id for clip in list_clips(expected).entries] if expected else None
    about |= {"pretrained_models": list(pretrained)}
    written = write_submission(results, out, about, expected=names, count=count, metric=metric)
    say(f"{out}: {written} scores")
    if names is None and count is None:
        note("note: whether all clips are there was not checked; say --count or --expected")
