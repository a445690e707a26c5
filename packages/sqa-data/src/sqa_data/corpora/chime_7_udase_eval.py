"""CHiME-7 UDASE: enhanced conversations, rated as ITU-T P.835 asks; the development set of the task."""

from collections.abc import Iterator

from sqa_data.corpus import CC_BY_SA, MIRROR, Archive, Corpus, Rating, Split
from sqa_data.tables import Row, below, each_row

FILES = {"listening_test/MOS_results_listening_test.csv": "test"}


@each_row(FILES, "condition", "sample", "MOS", "SIG?", "BAK?", "subject?")
def parse(row: Row, split: str) -> Iterator[Rating]:
    system_id, sample = row["condition"], row["sample"]
    if system_id.lower() == "ref":  # the listeners' anchor, not a system
        return
    audio = f"listening_test/data/{below(f'{system_id}/{sample}', row.path, row.line)}"
    sample_id, listener_id = f"{system_id}_{sample.rsplit('.', 1)[0]}", row["subject"] or None
    for label, column in (("mos", "MOS"), ("mos_sig", "SIG"), ("mos_bak", "BAK")):
        if row[column].strip() or label == "mos":
            yield Rating(split, audio, sample_id, system_id, listener_id, row.number(column), label)


CORPUS = Corpus(
    name="chime-7-udase-eval",
    title="CHiME-7 UDASE evaluation (listening test)",
    splits={"test": Split(640, 5, 0.84)},
    sample_rates=(16000,),
    licence=CC_BY_SA,
    archives=(
        Archive(
            "CHiME-7-UDASE-evaluation-data.zip",
            ("https://zenodo.org/records/10418311/files/", MIRROR),
            checksum="md5:37b97f9f4ba95152725548fa2a1893ac",
        ),
    ),
    links=("https://zenodo.org/records/10418311",),
    citation="S. Leglaive et al., Objective and subjective evaluation of speech enhancement methods in the UDASE "
    "task of the 7th CHiME challenge, Computer Speech and Language 2024",
    parse=parse,
    role="development",
)
