"""`sqa-cli submit`: what a challenge takes, from files of results."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from sqa_metrics.cli.options import NUMBER

from sqa_cli import options as o
from sqa_cli.terminal import note, say

ZIP, *ANSWERS = "urgent2026-track2", "voicemos2026", "urgent2026"


@click.command()
@click.argument("results", nargs=-1, required=True, type=o.FILE_HERE)
@click.option("--challenge", type=click.Choice([ZIP, *ANSWERS]), default=ZIP, show_default=True)
@click.option(
    "--out", required=True, type=o.FILE, help="The zip to write; or, of answers, the file without a zip."
)
@click.option("--team", help="Name of the team.")
@click.option("--data", default="", help="Training data, in words.")
@click.option("--system-type", default="", help="Such as single model or ensemble.")
@click.option("--model-size", type=NUMBER, help="Parameters in millions.")
@click.option("--loss", default="", help="Training loss, in words.")
@click.option("--pretrained", multiple=True, help="A pretrained model that was used. Repeatable.")
@click.option("--expected", multiple=True, help="What was to be scored (folder, list, ...). Repeatable.")
@click.option("--pairs", multiple=True, type=o.FILE_HERE, help="Pairs that were to be compared. Repeatable.")
@click.option("--count", type=click.IntRange(1), help="How many scores there must be: 6900 in validation.")
@click.option("--metric", default="mos", show_default=True, help="Which head to submit.")
def submit(
    results: tuple[Path, ...],
    challenge: str,
    out: Path,
    expected: tuple[str, ...],
    pairs: tuple[Path, ...],
    count: int | None,
    metric: str,
    pretrained: tuple[str, ...],
    **about: Any,
) -> None:
    """Write the submission to a challenge from the RESULTS of `sqa-cli predict`.

    \b
    urgent2026-track2  zip of mos.scp and README.yaml; needs --team and --model-size
    voicemos2026       track 1: predictions.csv of clips and pairs (predict --pairs)
    urgent2026         predictions.scp of clips and pairs (urgent2026-sqa)

    Refuses, and writes nothing, if a row is doubled, failed, not finite or has a blank in its name, or if one is
    missing or extra: by --expected, --pairs or --count. Without these, answers must be as many as the challenge has.

    \b
    Examples:
      sqa-cli submit results.jsonl --out team.zip --team us --model-size 128 --count 6900
      sqa-cli submit results.jsonl --out team.zip --team us --model-size 2 --expected test/
      sqa-cli submit acr.jsonl ccr.jsonl --challenge voicemos2026 --out team.zip
      sqa-cli submit acr.jsonl ccr.jsonl --challenge voicemos2026 --out predictions.csv \\
        --expected data/vmc2026-track1-dev/acr/data.jsonl --pairs data/vmc2026-track1-dev/ccr/pairs.jsonl
    """
    from sqa_data.clip_list import list_clips
    from sqa_data.pairs import iter_pairs, pair_id
    from sqa_model.inference.submission import ANSWERS as FILES
    from sqa_model.inference.submission import write_answers, write_submission

    _check(challenge, results, expected, pairs, {"count": count, "pretrained": pretrained, **about})
    names = [clip.sample_id for clip in list_clips(expected).entries] if expected else None
    if challenge == ZIP:
        about |= {"pretrained_models": list(pretrained)}
        written = write_submission(results[0], out, about, expected=names, count=count, metric=metric)
        say(f"{out}: {written} scores")
        if names is None and count is None:
            note("note: whether all clips are there was not checked; say --count or --expected")
        return
    compared = [pair_id(pair) for path in pairs for _, pair in iter_pairs(path, unlabelled=True)]
    wanted = None if names is None else (names, compared)
    found = write_answers(results, out, FILES[challenge], expected=wanted, metric=metric)
    say(f"{out}: {found[0]:,} clips, {found[1]:,} pairs")


def _check(
    challenge: str,
    results: Sequence[Path],
    expected: Sequence[str],
    pairs: Sequence[Path],
    of_zip: dict[str, Any],
) -> None:
    """Refuse options of another challenge, and what cannot be without another."""
    if challenge == ZIP:
        missing = [f"--{name}" for name in ("team", "model-size") if of_zip[name.replace("-", "_")] is None]
        if missing:
            raise click.UsageError(f"Missing {' and '.join(missing)}, which {ZIP} needs.")
        if len(results) > 1 or pairs:
            raise click.UsageError(f"{ZIP} takes one file of results, and no pairs.")
        return
    given = [f"--{name.replace('_', '-')}" for name, value in of_zip.items() if value]
    if given:
        raise click.UsageError(f"{', '.join(given)}: of {ZIP}, not of {challenge}.")
    if bool(expected) != bool(pairs):
        raise click.UsageError("--expected (clips) and --pairs go together.")
