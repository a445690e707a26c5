"""SOMOS with all its ratings: also those of pages that failed a check of quality."""

from dataclasses import replace

from sqa_data.corpora.somos import CORPUS as SOMOS
from sqa_data.corpora.somos import files, parse
from sqa_data.corpus import Split
from sqa_data.tables import each_row

CORPUS = replace(
    SOMOS,
    name="somos-full",
    title="SOMOS (split 1, all ratings)",
    splits={
        "train": Split(
            14100,
            # what else is known of each, as the listener's reliability: raw_scores_with_metadata/*.tsv in there
            note="374,955 ratings in all; the archive is somos's: link it instead of loading it",
        ),
        "dev": Split(3000),
        "test": Split(3000),
    },
    parse=each_row(files("full"), *parse.columns)(parse.read),
    label_files=(),
    baseline_ids=None,
    contains=("somos",),
    layout="the read-me in its archive",
)
