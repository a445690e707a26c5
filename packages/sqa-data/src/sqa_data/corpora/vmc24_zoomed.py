"""BVCC's better half, rated anew among each other: the zoomed test of the VoiceMOS Challenge 2024, by sarulab."""

import re
from collections.abc import Iterator
from pathlib import Path

from sqa_data.corpus import MIT, Archive, Corpus, Rating, Split
from sqa_data.errors import DataError
from sqa_data.lines import open_lines

LABELS = "VMC2024_MOS"
ROUNDING = 1e-4  # of the published mean
# sys00691/sys00691-utt00e6ae6.wav 3.375000 0.886734 (1:0,2:2,3:2,4:3,5:1,total: 8)
LINE = re.compile(
    r"(sys\w+)/(\1-utt\w+)\.wav ([\d.]+) ([\d.]+) \(1:(\d+),2:(\d+),3:(\d+),4:(\d+),5:(\d+),total: (\d+)\)"
)


def parse(root: Path) -> Iterator[Rating]:
    """One vote a listener, from the histogram of each clip."""
    path = root / LABELS
    for line, content in open_lines(path):
        text = content.decode("ascii", "replace").strip()
        found = LINE.fullmatch(text)
        if not found:
            raise DataError(
                f"{path}:{line}: {text!r}; expected SYSTEM/CLIP.wav MOS CI (1:n,2:n,3:n,4:n,5:n,total: n)"
            )
        system_id, clip, mos = found[1], found[2], float(found[3])
        counts = [int(n) for n in found.groups()[4:9]]
        votes = [value for value, n in enumerate(counts, 1) for _ in range(n)] if sum(counts) < 1000 else []
        if not votes or len(votes) != int(found[10]) or abs(sum(votes) / len(votes) - mos) > ROUNDING:
            raise DataError(f"{path}:{line}: {text!r}: the votes have another number or mean than it says")
        for value in votes:
            yield Rating("test", f"wav/{clip}.wav", clip, system_id, None, value)


CORPUS = Corpus(
    name="vmc24-zoomed",
    title="BVCC's better half, rated anew (VoiceMOS Challenge 2024, sarulab)",
    splits={"test": Split(3610, 95)},
    sample_rates=(16000,),
    languages=("en",),
    licence=MIT,
    archives=(
        Archive(
            LABELS,
            (
                "https://raw.githubusercontent.com/sarulab-speech/VMC2024-sarulab-data/"
                "19d7094ac5a0eb84d99601fd95b8e0d1f051454e/VMC2024_MOS",
            ),
        ),
    ),
    links=("https://github.com/sarulab-speech/VMC2024-sarulab-data",),
    citation="K. Baba et al., The T05 system for the VoiceMOS Challenge 2024: Transfer learning from deep image "
    "classifier to naturalness MOS prediction of high-quality synthetic speech, SLT 2024",
    label_files=(LABELS,),
    parse=parse,
    layout="its label file, counted",
    audio_of="bvcc",
    use=("evaluation",),
)
