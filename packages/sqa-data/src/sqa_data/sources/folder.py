"""Where below RAW/NAME the label files of a corpus lie: unpacked here or by hand."""

from pathlib import Path

from sqa_data.corpus import Corpus


def find_corpus_folder(corpus: Corpus, folder: Path) -> Path | None:
    """Where below RAW/NAME the corpus lies: unpacked here or by hand, with or without its root folder.

    The first folder, at most three levels down, in which every label file of the corpus exists.
    """
    if corpus.hub and corpus.hub.splits:
        # parquet files lie as in the repository
        return folder if any(any(folder.glob(f"{up}*.parquet")) for up in ("", "*/", "*/*/")) else None
    for start in (folder / "unpacked", folder):
        level = [start] if start.is_dir() else []
        for _ in range(4):
            for candidate in level:
                if all(any(candidate.glob(pattern)) for pattern in corpus.label_files):
                    return candidate
            # a folder of a million clips is no place to search
            level = [child for parent in level for child in sorted(parent.iterdir()) if _may_hold(child)][
                :1000
            ]
    return None


def _may_hold(folder: Path) -> bool:
    name = folder.name
    ours = name in ("__MACOSX", "labels", "audio") or name.startswith(".") or name.endswith(".partial")
    return not ours and folder.is_dir()


def clips_here(corpus: Corpus, root: Path) -> int:
    """How many audio files are below the corpus folder `root`, of a corpus that says how many it should have."""
    return sum(1 for _ in (root / "wav").glob("*.wav")) if corpus.wavs else 0
