"""`sqa-cli data filter`, `data merge` and `data sample`: manifests out of manifests."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sqa_cli import options as o

if TYPE_CHECKING:
    from sqa_data import Utterance


@click.command("filter")
@o.manifests
@o.out_manifest
@click.option("--corpus", "corpora", multiple=True, help="Only these corpora.")
@click.option("--split", "splits", multiple=True, help="Only these splits.")
@click.option("--system", "systems", multiple=True, help="Only these systems.")
@click.option("--label", "labels", multiple=True, help="Only with this label (repeat: all of them).")
@click.option("--where", multiple=True, metavar="LABEL=LOW..HIGH", help="Only with the label in this range.")
@click.option("--min-duration", "min_duration_s", type=float, help="Seconds.")
@click.option("--max-duration", "max_duration_s", type=float, help="Seconds.")
@click.option("--min-votes", type=int)
@o.relative
@o.json
def filter_(
    manifests: tuple[Path, ...],
    out: Path,
    where: tuple[str, ...],
    relative: bool,
    as_json: bool,
    **conditions: Any,
) -> None:
    """Choose utterances; options add up.

    \b
    Example:
      sqa-cli data filter data/*/train/data.jsonl --label mos --max-duration 20 --where mos=1..3 --out low.jsonl
    """
    from sqa_data.choose import Condition, merged

    # the other options have the names of the condition's fields
    condition = Condition(bounds=tuple(_bound(text) for text in where), **conditions)
    _write(out, (u for u in merged(manifests) if condition.holds(u)), relative, as_json)


@click.command()
@o.manifests
@o.out_manifest
@o.relative
@o.json
def merge(manifests: tuple[Path, ...], out: Path, relative: bool, as_json: bool) -> None:
    """Put manifests together; a sample_id that comes twice in one corpus is an error."""
    from sqa_data.choose import merged

    _write(out, merged(manifests), relative, as_json)


@click.command()
@o.manifests
@o.out_manifest
@click.option("-n", "n", type=click.IntRange(1), required=True, help="How many.")
@click.option("--per-system", is_flag=True, help="So many of each system.")
@click.option("--seed", type=int, default=0, show_default=True)
@o.relative
@o.json
def sample(
    manifests: tuple[Path, ...],
    out: Path,
    n: int,
    per_system: bool,
    seed: int,
    relative: bool,
    as_json: bool,
) -> None:
    """Draw utterances: the same for the same seed, whatever their order; a smaller draw is part of a larger one."""
    from sqa_data.choose import merged, sampled

    _write(out, sampled(merged(manifests), n, seed, per_system=per_system), relative, as_json)


def _write(out: Path, utterances: "Iterable[Utterance]", relative: bool, as_json: bool) -> None:
    from sqa_data import write_manifest

    n = write_manifest(out, utterances, relative=relative)
    o.report(as_json, {"manifest": str(out), "samples": n}, [f"{out}: {n:,} samples"])


def _bound(text: str) -> tuple[str, float, float]:
    """A range of a label, from LABEL=LOW..HIGH; LABEL=VALUE is a range of one value."""
    label, _, limits = text.partition("=")
    low, dots, high = limits.partition("..")
    try:
        return label, float(low or "-inf"), float(high or "inf") if dots else float(low)
    except ValueError:
        raise click.BadParameter(f"{text!r}; expected LABEL=LOW..HIGH, as in mos=1..3") from None
