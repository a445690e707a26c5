"""The program `sqa-metrics`: a table of its commands, which `sqa-cli` offers too."""

import click

from sqa_metrics.cli.group import CONTEXT, LazyGroup

COMMANDS = {
    "score": ("sqa_metrics.cli.score:score", "Measure predictions against listeners."),
    "compare": ("sqa_metrics.cli.score:compare", "Test whether predictors differ, with intervals."),
    "rank": ("sqa_metrics.cli.score:rank", "Rank predictors as the challenge does."),
    "plan": ("sqa_metrics.cli.plan:plan", "Plan a listening test: votes, clips, systems."),
    "ratings": ("sqa_metrics.cli.ratings:ratings", "Judge a listening test from its single ratings."),
    "pairs": ("sqa_metrics.cli.pairs:pairs", "Judge predictions of pairs (CCR, preferences); rank systems."),
    "calibrate": ("sqa_metrics.cli.calibrate:calibrate", "Map a model's scores to your own listeners' MOS."),
    "warmup": ("sqa_metrics.cli.warmup:warmup", "Compile the kernels for large inputs, once."),
}


class _Group(LazyGroup):
    table = COMMANDS


@click.group(cls=_Group, context_settings=CONTEXT)
@click.version_option(package_name="sqa-metrics")
def main() -> None:
    """Measure how well predicted mean opinion scores agree with listeners."""
