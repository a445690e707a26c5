"""URGENT2026-SQA: the listening tests of the URGENT 2026 challenge, clips alone (ACR) and in pairs (CCR)."""

from sqa_data.corpora._urgent import CLIP, ONE, RATINGS, SIDES, TWO, parser
from sqa_data.corpus import Corpus, HubDataset, Licence, Split
from sqa_data.labels import RANGES

ALONE, COMPARED = {"acr": ("acr",)}, {"ccr": ("ccr",)}
# what the listeners gave has had more than one name
MORE = (
    "utterance_id?",
    "speaker_id?",
    "language",
    "is_simulated?",
    *(f"{name}?" for name in (*RATINGS, "cmos")),
)

CORPUS = Corpus(
    name="urgent2026-sqa",
    title="URGENT 2026 submissions, rated alone and in pairs",
    splits={
        "acr": Split(5040, 6, note="840 utterances in 9 languages"),
        "ccr": Split(25_200, note="12,600 pairs, each with copies of its two clips", again=("acr", "ccr")),
    },
    sample_rates=(),
    method="ACR and CCR",
    licence=Licence(
        "?",
        "https://huggingface.co/datasets/urgent-challenge/urgent2026-sqa",
        ask=True,
        note="see the card; its siblings are CC BY-NC-SA 4.0",
    ),
    archives=(),
    links=(
        "https://huggingface.co/datasets/urgent-challenge/urgent2026-sqa",
        "https://urgent-challenge.github.io/urgent2026/track1/",
    ),
    citation="C. Li et al., ICASSP 2026 URGENT speech enhancement challenge, ICASSP 2026",
    label_files=("*.parquet",),
    parse=parser(ALONE, COMPARED),
    contains=("vmc2026-track1-dev", "vmc2026-track1-test"),
    layout="public scripts that read it; of ccr only the columns of the audio",
    assumed=True,
    columns={
        "acr": (*(f"{label}?" for label in RANGES), *ONE, "system_id", "mos", *MORE),
        "ccr": (*TWO, *MORE),
    },
    use=("evaluation",),
    hub=HubDataset("urgent-challenge/urgent2026-sqa", ALONE | COMPARED, audio=CLIP + SIDES),
)
