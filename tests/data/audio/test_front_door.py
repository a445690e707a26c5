"""Nobody but `sqa_data.audio` opens a sound file for reading."""

import re
from pathlib import Path

READS = re.compile(
    r"\b(soundfile|sf)\.(SoundFile|read|info|blocks)\b"
    r"|\b(torchaudio|librosa)\.load\b|\bwavfile\.read\b|\bwave\.open\b"
)

ALLOWED = {
    "packages/sqa-data/src/sqa_data/audio/decoder.py": "the door itself",
    "packages/sqa-data/src/sqa_data/degrade/kinds/codec/soundfile.py": "decodes what it encoded, in doubles",
}


def test_one_front_door(root: Path) -> None:
    found = {
        path.relative_to(root).as_posix()
        for path in [*(root / "packages").rglob("src/**/*.py"), *(root / "recipes").rglob("*.py")]
        if READS.search(path.read_text(encoding="utf-8"))
    }
    wrong = found - ALLOWED.keys()
    assert not wrong, f"read audio by sqa_data.audio.hear and look: {wrong}"
