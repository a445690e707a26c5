"""URGENT2024-SQA: submissions to the URGENT 2024 challenge, labelled by listeners and by metrics."""

from sqa_data.baseline import BaselineIds
from sqa_data.corpora._urgent import parser
from sqa_data.corpus import CC_BY_NC_SA, Corpus, HubDataset, Split

SPLITS = {
    "train": ("validation", "nonblind_test"),
    "test": ("blind_test_mos",),
    # enhanced from the same noisy recordings as the test set, so training on it is a matter of opinion
    "blind_test": ("blind_test",),
}

CORPUS = Corpus(
    name="urgent2024-sqa",
    title="URGENT 2024 submissions",
    splits={
        "train": Split(238_000, 238, 429.34, "validation + nonblind_test", rated=False),
        "test": Split(6_900, 23, 13.80, "blind_test_mos: the evaluation set of the task"),
        "blind_test": Split(
            None, note="shares its noisy recordings with the test split", optional=True, rated=False
        ),
    },
    sample_rates=(8000, 16000, 22050, 24000, 32000, 44100, 48000),
    languages=("en",),
    licence=CC_BY_NC_SA,
    archives=(),
    links=(
        "https://huggingface.co/datasets/urgent-challenge/urgent2024-sqa",
        # the test split again, of which SHEET trains on 6,210 clips: its models have seen it
        "https://huggingface.co/datasets/urgent-challenge/urgent2024_mos",
    ),
    citation="W. Wang et al., Improving speech enhancement with multi-metric supervision from learned quality "
    "assessment, 2025; W. Zhang et al., URGENT challenge, Interspeech 2024",
    label_files=("*.parquet",),
    parse=parser(SPLITS),
    baseline_ids=BaselineIds(("blind_test_mos_x_fileid_5", "x")),
    use=("training", "evaluation"),
    hub=HubDataset("urgent-challenge/urgent2024-sqa", SPLITS),
)
