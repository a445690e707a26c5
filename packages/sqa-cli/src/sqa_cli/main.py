"""The program `sqa-cli`: a table of its commands. `--help` reads the table alone; `score` never sees torch."""

import click
from sqa_data.errors import DataError
from sqa_metrics.cli import COMMANDS as JUDGING
from sqa_metrics.cli.group import CONTEXT, LazyGroup
from sqa_metrics.errors import MetricsError
from sqa_model.errors import ModelError

COMMANDS = {
    "predict": ("sqa_cli.predict:predict", "Score speech: one row a clip."),
    **{name: command for name, command in JUDGING.items() if name != "warmup"},
    "submit": ("sqa_cli.submit:submit", "Write the challenge's submission from predictions."),
    "data": ("sqa_cli.data.group:data", "Corpora: list, download, prepare, verify, annotate, choose."),
    "train": ("sqa_cli.train:train", "Train a MOS model on manifests."),
    "average": ("sqa_cli.average:average", "Average the weights of several models."),
    "convert": ("sqa_cli.convert:convert", "Turn a published checkpoint into safetensors."),
    "warmup": JUDGING["warmup"],
}


class _Group(LazyGroup):
    table = COMMANDS
    errors = (MetricsError, DataError, ModelError)


@click.group(cls=_Group, context_settings=CONTEXT)
@click.version_option(package_name="sqa-cli")
def main() -> None:
    """Speech quality assessment: corpora, MOS prediction, training, scoring.

    \b
    Examples:
      sqa-cli predict enhanced/ --out results.jsonl
      sqa-cli score --ref ref.jsonl --pred results.jsonl --ci
      sqa-cli rank --ref ref.jsonl team1.jsonl team2.jsonl team3.jsonl
      sqa-cli data download tencent && sqa-cli data prepare tencent
      sqa-cli train --preset mini --data 'data/*/train/data.jsonl' --dev dev.jsonl --out runs/mini
    """
