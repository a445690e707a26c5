"""`sqa-cli data degrade`: a corpus of degraded speech from clean speech."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqa_metrics.cli.options import FloatRange

from sqa_cli import options as o
from sqa_cli.terminal import bars, goes_on, show_log

if TYPE_CHECKING:
    from sqa_data.degrade.plan import PlannedClip

FOLDER_HERE = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("speech", type=FOLDER_HERE)
@click.option("--noise", type=FOLDER_HERE, help="Folder of noises.")
@click.option("--out", "-o", type=o.FOLDER, required=True, help="New folder.")
@click.option(
    "--train", type=click.IntRange(0), default=1000, show_default=True, help="Clips to make of each split."
)
@click.option("--dev", type=click.IntRange(0), default=100, show_default=True)
@click.option("--test", type=click.IntRange(0), default=200, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--max-seconds", type=FloatRange(0.5), default=5.0, show_default=True, help="Longest clip.")
@click.option("--held-out", help="Kinds for the test split alone. [default: babble,gate,gsm,loss-pitch]")
@click.option("--jobs", "-j", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the manifests' paths as JSON.")
def degrade(
    speech: Path,
    noise: Path | None,
    out: Path,
    held_out: str | None,
    jobs: int,
    as_json: bool,
    **draw: Any,
) -> None:
    """Make a corpus of degraded speech from clean SPEECH.

    SPEECH has a folder for each talker, or a manifest.csv with path and speaker. Rooms, noises, clipping,
    suppressors, codecs, packet loss and chains of them; talkers and noises are in one split only. The same
    command gives the same samples, and goes on where an interrupted run stopped.

    \b
    Example:
      sqa-cli data degrade speech/ --noise noise/ --out degraded/ --train 18000 --dev 800 --test 1200 -j 8
    """
    from sqa_data.degrade.plan import DegradeConfig, make_plan, read_noises, read_speech

    show_log("sqa_data", logging.WARNING)
    if held_out is not None:
        draw["held_out_kinds"] = tuple(kind for kind in held_out.split(",") if kind not in ("", "none"))
    config = DegradeConfig(**draw)
    noises = read_noises(noise) if noise else {}
    clips = make_plan(read_speech(speech), noises, config)
    manifests = _render(clips, out, config.seed, jobs)
    lines = []
    for split, path in manifests.items():
        seconds = [clip.seconds for clip in clips if clip.split == split]
        lines.append(f"{split:6} {len(seconds):7} clips {sum(seconds) / 3600:7.2f} h  {path}")
    o.report(as_json, {split: str(path) for split, path in manifests.items()}, lines)


def _render(clips: "Sequence[PlannedClip]", out: Path, seed: int, jobs: int) -> dict[str, Path]:
    """Render the clips under a bar; returns the manifest of each split."""
    from sqa_data.degrade.render import render

    done = 0
    with goes_on(), bars() as show:

        def count() -> None:
            nonlocal done
            done += 1
            show("clips", done, len(clips))

        return render(clips, out, seed, jobs=jobs, on_clip=count)
