"""CHiME-7 UDASE: enhanced conversations, rated as ITU-T P.835 asks; the development set of the task."""

from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpora._licences import CC_BY_SA, MIRROR
from sqa_data.corpus import Archive, Corpus, Rating, Split
from sqa_data.tables import below, number, read_rows

COLUMNS = ["condition", "sample", "MOS", "SIG?", "BAK?", "subject?"]


def parse(root: Path) -> Iterator[Rating]:
    path = root / "listening_test" / "MOS_results_listening_test.csv"
    for line, (condition, sample, mos, sig, bak, subject) in read_rows(path, COLUMNS):
        if condition.lower() == "ref":  # the listeners' anchor, not a system
            continue
        clip = below(f"{condition}/{sample}", path, line)
        sample_id = f"{condition}_{sample.rsplit('.', 1)[0]}"
        for label, value in (("mos", mos), ("mos_sig", sig), ("mos_bak", bak)):
            if value.strip() or label == "mos":
                score = number(value, label, path, line)
                audio = f"listening_test/data/{clip}"
                yield Rating("test", audio, sample_id, condition, subject or None, score, label)


CORPUS = Corpus(
    name="chime-7-udase-eval",
    title="CHiME-7 UDASE evaluation (listening test)",
    splits={"test": Split(640, 5, 0.84)},
    sample_rates=(16000,),
    licence=CC_BY_SA,
    archives=(
        Archive(
            "CHiME-7-UDASE-evaluation-data.zip",
            (
                "https://zenodo.org/records/10418311/files/CHiME-7-UDASE-evaluation-data.zip",
                f"{MIRROR}CHiME-7-UDASE-evaluation-data.zip",
            ),
            checksum="md5:37b97f9f4ba95152725548fa2a1893ac",
        ),
    ),
    links=("https://zenodo.org/records/10418311",),
    citation="S. Leglaive et al., Objective and subjective evaluation of speech enhancement methods in the "
    "UDASE "
    "task of the 7th CHiME challenge, Computer Speech and Language 2024",
    label_files=("listening_test/MOS_results_listening_test.csv",),
    parse=parse,
    role="development",
)
