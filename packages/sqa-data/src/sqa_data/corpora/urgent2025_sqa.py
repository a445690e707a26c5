"""URGENT2025-SQA: every submission to the URGENT 2025 challenge."""

from sqa_data.baseline import BaselineIds
from sqa_data.corpora._urgent import parser
from sqa_data.corpus import CC_BY_NC_SA, Corpus, HubDataset, Split

SPLITS = {
    "train": ("validation", "nonblind_test"),
    "blind_test": ("blind_test",),
    "blind_test_mos": ("blind_test_mos",),
}

CORPUS = Corpus(
    name="urgent2025-sqa",
    title="URGENT 2025 submissions",
    splits={
        "train": Split(100_000, 100, 261.31, "validation + nonblind_test", rated=False),
        "blind_test": Split(None, optional=True, rated=False),
        "blind_test_mos": Split(23_400, note="8 votes a clip, published after the challenge", optional=True),
    },
    sample_rates=(8000, 16000, 22050, 24000, 32000, 44100, 48000),
    languages=("de", "en", "ja", "zh"),
    licence=CC_BY_NC_SA,
    archives=(),
    links=("https://huggingface.co/datasets/urgent-challenge/urgent2025-sqa",),
    citation="K. Saijo et al., Interspeech 2025 URGENT speech enhancement challenge, Interspeech 2025; "
    "M. Sach et al., P.808 multilingual speech enhancement testing, 2025",
    label_files=("*.parquet",),
    parse=parser(SPLITS),
    baseline_ids=BaselineIds(("blind_test_mos_x_fileid_5", "x")),
    hub=HubDataset("urgent-challenge/urgent2025-sqa", SPLITS),
)
