"""BC19: Chinese synthesis of the Blizzard Challenge 2019, the out-of-domain track of VoiceMOS 2022."""

from sqa_data.corpora import _blizzard
from sqa_data.corpora._voicemos import BASELINE_IDS, BLIZZARD, LABEL_FILES, MANUAL, parse
from sqa_data.corpus import Archive, Corpus, PickedClips, Split

CORPUS = Corpus(
    name="bc19",
    title="Blizzard Challenge 2019 (VoiceMOS Challenge 2022, out-of-domain track)",
    splits={"train": Split(136, 21, 0.32), "dev": Split(136), "test": Split(540)},
    sample_rates=(16000,),
    languages=("zh",),
    licence=BLIZZARD,
    archives=(Archive("ood.tar.gz", ("https://zenodo.org/records/6572573/files/",)),),
    links=("https://zenodo.org/records/6572573",),
    citation="Z. Wu, Z. Xie, S. King, The Blizzard Challenge 2019, Blizzard Challenge workshop 2019",
    label_files=LABEL_FILES,
    parse=parse,
    baseline_ids=BASELINE_IDS,
    manual=MANUAL,
    wavs=1352,  # 540 of them are the unlabelled training clips of the track
    picked=PickedClips(_blizzard.archives("2019"), _blizzard.plan, _blizzard.write_clip),
)
