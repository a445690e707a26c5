"""`sqa-cli data degrade` and `data kinds`: degraded speech from clean speech, and what may befall it."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from sqa_metrics.cli.options import FloatRange

from sqa_cli import options as o
from sqa_cli.terminal import bars, goes_on, say, show_log, table

if TYPE_CHECKING:
    from sqa_data.degrade.kind import Surroundings
    from sqa_data.degrade.plan import PlannedClip

FOLDER_HERE = click.Path(exists=True, file_okay=False, path_type=Path)
rir = click.option("--rir", type=FOLDER_HERE, help="Folder of recorded impulse responses of rooms.")
models = click.option(
    "--models", type=FOLDER_HERE, help="Folder of network weights, for kinds that need them."
)


def _rate(ctx: click.Context, param: click.Parameter, value: str) -> int | None:
    if value == "source":
        return None
    if not value.isdecimal() or not 8000 <= int(value) <= 48_000:
        raise click.BadParameter(f"{value!r}; expected 8000 to 48000 (Hz), or 'source'")
    return int(value)


@click.command()
@click.argument("speech", type=FOLDER_HERE, nargs=-1, required=True)
@click.option("--noise", type=FOLDER_HERE, multiple=True, help="Folder of noises; may be repeated.")
@rir
@models
@click.option("--out", "-o", type=o.FOLDER, required=True, help="New folder.")
@click.option(
    "--train",
    type=click.IntRange(0),
    default=1000,
    show_default=True,
    help="Clips to make of each split (chains, with --rungs).",
)
@click.option("--dev", type=click.IntRange(0), default=100, show_default=True)
@click.option("--test", type=click.IntRange(0), default=200, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--preset",
    type=click.Choice(["broad", "urgent"]),
    default="broad",
    show_default=True,
    help="broad: all kinds, mild to hard; urgent: as the URGENT challenges simulate.",
)
@click.option("--kinds", help="Draw from these alone, separated by commas. [default: all that can run here]")
@click.option(
    "--sample-rate",
    callback=_rate,
    default="16000",
    show_default=True,
    metavar="HZ|source",
    help="Of the clips.",
)
@click.option("--max-seconds", type=FloatRange(0.5), default=5.0, show_default=True, help="Longest clip.")
@click.option(
    "--min-seconds",
    type=FloatRange(0),
    default=0.0,
    show_default=True,
    help="Shorter speech is followed by more of its talker, as far as there is any.",
)
@click.option("--max-steps", type=click.IntRange(1), default=4, show_default=True, help="Longest chain.")
@click.option(
    "--held-out", help="Kinds for the test split alone, or none. [default: babble,gate,gsm,loss-pitch]"
)
@click.option("--test-languages", default="", help="Languages for the test split alone, such as pt,sv.")
@click.option(
    "--rungs",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Clips of every chain: one of its steps from mildest to hardest, the rest alike.",
)
@click.option("--jobs", "-j", type=click.IntRange(1), default=1, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print the manifests' paths as JSON.")
def degrade(
    speech: tuple[Path, ...],
    noise: tuple[Path, ...],
    rir: Path | None,
    models: Path | None,
    out: Path,
    kinds: str | None,
    held_out: str | None,
    test_languages: str,
    jobs: int,
    as_json: bool,
    **draw: Any,
) -> None:
    """Make a corpus of degraded speech from clean SPEECH, one folder or several.

    SPEECH has a folder for each talker, or a manifest.csv with path and speaker. Rooms, noises, clipping,
    suppressors, codecs, packet loss and chains of them (see `data kinds`); talkers and noises are in one split
    only. The same command gives the same samples where the same kinds can run, and goes on where an interrupted
    run stopped.

    \b
    Examples:
      sqa-cli data degrade speech/ --noise noise/ --out degraded/ --train 18000 --dev 800 --test 1200 -j 8
      sqa-cli data degrade speech/ --noise noise/ --out sim/ --preset urgent --sample-rate source --rir rooms/
    """
    from sqa_data.degrade.plan import DegradeConfig, make_plan, read_noises, read_rooms, read_speech

    show_log("sqa_data", logging.WARNING)
    if held_out is not None:
        draw["held_out_kinds"] = () if held_out == "none" else _names(held_out)
    config = DegradeConfig(kinds=_names(kinds or ""), test_languages=_names(test_languages), **draw)
    sources = [source for folder in speech for source in read_speech(folder)]
    noises = {path: label for folder in noise for path, label in read_noises(folder).items()}
    rooms = read_rooms(rir) if rir else ()
    clips = make_plan(sources, noises, config, rooms=rooms, models=models)
    manifests = _render(clips, out, config.seed, jobs)
    lines = []
    for split, path in manifests.items():
        seconds = [clip.duration_s for clip in clips if clip.split == split]
        lines.append(f"{split:6} {len(seconds):7} clips {sum(seconds) / 3600:7.2f} h  {path}")
    o.report(as_json, {split: str(path) for split, path in manifests.items()}, lines)


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.replace(",", " ").split())


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


@click.command()
@click.option("--noise", type=FOLDER_HERE, help="Folder of noises.")
@rir
@models
@click.option("--talkers", type=FOLDER_HERE, help="Folder of other people's speech.")
@click.option("--sheet", type=o.FILE, help="Write spectrograms of --speech at severities 0, 0.5, 1 (HTML).")
@click.option("--speech", type=o.FILE_HERE, help="The clean clip of the sheet.")
@o.json
def kinds(
    talkers: Path | None,
    sheet: Path | None,
    speech: Path | None,
    as_json: bool,
    **folders: Path | None,
) -> None:
    """List the kinds of degradation, and which of them can run here.

    \b
    Examples:
      sqa-cli data kinds
      sqa-cli data kinds --noise noise/ --talkers speech/ --speech clean.wav --sheet kinds.html
    """
    from sqa_data.degrade.kinds import KINDS

    if (sheet is None) != (speech is None):
        raise click.UsageError("--sheet and --speech go together")
    around = _surroundings(talkers, **folders)
    reasons = {name: kind.missing(around) for name, kind in KINDS.items()}
    if sheet is not None and speech is not None:
        from sqa_data.degrade.sheet import sheet_of

        with bars() as show:
            here = [name for name, reason in reasons.items() if reason is None]
            sheet_of(sheet, speech, here, around, progress=lambda done: show("kinds", done, len(here)))
    rows = [
        [name, str(kind.family), reasons[name] or ", ".join(filter(None, ("yes", kind.mildest)))]
        for name, kind in KINDS.items()
    ]
    if as_json:
        listed = [
            {"kind": name, "family": family, "missing": reasons[name], "mildest": KINDS[name].mildest or None}
            for name, family, _ in rows
        ]
        o.report(True, listed, [])
    else:
        say(*table(["kind", "family", "runs here"], rows))
        if sheet is not None:
            say(f"wrote {sheet}")


def _surroundings(
    talkers: Path | None, noise: Path | None, rir: Path | None, models: Path | None
) -> "Surroundings":
    """What the options name, as kinds take it."""
    from sqa_data.degrade.kind import Surroundings
    from sqa_data.degrade.plan import read_noises, read_rooms, read_speech

    return Surroundings(
        noises=tuple(read_noises(noise)) if noise else (),
        talkers=tuple(source.path for source in read_speech(talkers)) if talkers else (),
        rooms=tuple(read_rooms(rir)) if rir else (),
        models=models,
    )
