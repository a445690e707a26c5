"""The group `sqa-cli data`: a table of its commands, each imported only when it is called."""

import click
from sqa_metrics.cli.group import CONTEXT, LazyGroup

# name -> (module:attribute, one line for --help), as in `sqa_cli.main`
COMMANDS = {
    "list": ("sqa_cli.data.catalogue:list_", "The corpora, and what is here of them."),
    "show": ("sqa_cli.data.catalogue:show", "One corpus: details, licence, citation, manual steps."),
    "download": ("sqa_cli.data.corpora:download", "Bring the archives of corpora."),
    "prepare": ("sqa_cli.data.corpora:prepare", "Make manifests of them."),
    "verify": ("sqa_cli.data.manifests:verify", "Check manifests, their audio, and leaks between them."),
    "stats": ("sqa_cli.data.manifests:stats", "Samples, systems, hours, opinions, votes."),
    "import": ("sqa_cli.data.manifests:import_", "Take over manifests and labels of other tools."),
    "filter": ("sqa_cli.data.manifests:filter_", "Choose utterances."),
    "merge": ("sqa_cli.data.manifests:merge", "Put manifests together."),
    "sample": ("sqa_cli.data.manifests:sample", "Draw utterances."),
    "pairs": ("sqa_cli.data.manifests:pairs", "Make pairs of rated clips."),
    "annotate": ("sqa_cli.data.annotate:annotate", "Label utterances with quality metrics."),
    "degrade": ("sqa_cli.data.degrade:degrade", "Make degraded speech of clean speech."),
    "kinds": ("sqa_cli.data.degrade:kinds", "The kinds of degradation, and pictures of them."),
}


class _Group(LazyGroup):
    table = COMMANDS


@click.group(cls=_Group, context_settings=CONTEXT)
def data() -> None:
    """Corpora of rated speech: from their source to verified manifests.

    \b
    Examples:
      sqa-cli data list
      sqa-cli data download tencent chime-7-udase-eval
      sqa-cli data prepare tencent chime-7-udase-eval
      sqa-cli data verify data/*/*/data.jsonl
    """
