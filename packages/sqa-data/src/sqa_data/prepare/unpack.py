"""From archives to the folder with the label files of a corpus: unpacked once, and found however it lies there."""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path

from sqa_data.atomic import finish_replace, lock
from sqa_data.corpus import Corpus
from sqa_data.errors import DataError
from sqa_data.sources import parquet
from sqa_data.sources.archives import Progress, is_packed, unpack, unpack_nested, unpacked_from, unpacked_size
from sqa_data.sources.folder import clips_here, find_corpus_folder
from sqa_data.sources.picked import is_picked, pick_clips
from sqa_data.sources.records import require_room


def unpack_corpus(
    corpus: Corpus,
    raw: str | Path,
    *,
    jobs: int = 4,
    drop_archives: bool = False,
    partial: bool = False,
    progress: Progress | None = None,
) -> Path:
    """The folder with the label files of a corpus, after unpacking what is still packed in RAW/NAME.

    drop_archives: delete the archives afterwards, those that clips are picked from as soon as all of them are here.
    partial: clips that cannot be picked are told in the log instead of an error.
    """
    folder = Path(raw) / corpus.name
    if not folder.is_dir():
        raise DataError(f"{folder}: nothing here; run `sqa-cli data download {corpus.name} --raw {raw}`")
    # archives may lie where one can only read; what is unpacked there needs no lock
    with lock(folder / ".unpack") if os.access(folder, os.W_OK) else nullcontext():
        if corpus.hub and corpus.hub.splits:
            return _unpack_hub(corpus, folder, jobs, progress)
        unpacked = folder / "unpacked"
        finish_replace(unpacked)
        archives = [folder / archive.name for archive in corpus.archives]
        nested = tuple(name for archive in corpus.archives for name in archive.nested)
        present = {path.name: path.stat().st_size for path in archives if path.is_file()}
        before = unpacked_from(unpacked) if unpacked.is_dir() else None
        # archives that are gone since were dropped to save room
        if before is not None and before | present != before:
            raise DataError(
                f"{unpacked}: made from {before}, but now there is {present}; move it away to unpack afresh"
            )
        packed = [archive for archive in archives if is_packed(archive.name)]
        # label files that are published beside an archive go into one folder with what is in it
        beside = packed and len(packed) < len(archives)
        root = find_corpus_folder(corpus, unpacked if beside else folder)
        if root is None and packed and len(present) == len(archives) and not unpacked.exists():
            needed = sum(unpacked_size(archive) or 0 for archive in archives)
            require_room(folder, needed, "are to be unpacked")
            unpack(archives, unpacked, nested, progress=progress)
            root = find_corpus_folder(corpus, unpacked)
        if root is None:
            absent = [archive.name for archive in archives if archive.name not in present]
            labels = [name for name in corpus.label_files if name not in absent]
            expected = " or, unpacked, ".join(", ".join(names) for names in (absent, labels) if names)
            raise DataError(
                f"{folder}: the label files of {corpus.name} are not here; expected {expected}. "
                f"Run `sqa-cli data download {corpus.name} --raw {raw}`"
            )
        if not unpacked.exists():
            unpack_nested(root, nested, progress)
        if corpus.picked:
            pick_clips(corpus, folder, root, jobs=jobs, partial=partial, progress=progress)
            packed += [folder / a.name for a in corpus.picked.archives if is_picked(corpus, root, a.name)]
        if drop_archives:
            for path in packed:
                path.unlink(missing_ok=True)
    return root


def label_files(corpus: Corpus, root: Path) -> list[Path]:
    if corpus.hub and corpus.hub.splits:
        return [p for names in corpus.hub.splits.values() for n in names for p in parquet.parts(root, n)]
    return sorted(path for pattern in corpus.label_files for path in root.glob(pattern))


def manual_steps(corpus: Corpus, raw: str | Path, root: Path | None = None) -> str:
    """What the user must do by hand for this corpus, with its folder filled in; empty for most."""
    home, archive = Path(raw) / corpus.name, corpus.archives[0].name if corpus.archives else ""
    # found: root is main/DATA, and the scripts lie beside DATA
    folder = home / "unpacked" / archive.split(".")[0] if root is None else root.parent
    return corpus.manual.format(
        name=corpus.name, folder=folder, home=home, wavs=corpus.wavs or 0, archive=archive
    )


def require_audio(corpus: Corpus, raw: str | Path, root: Path) -> None:
    """Stop with the steps to take where audio that the archives of a corpus do not hold is not there."""
    if not corpus.wavs:
        return
    found = clips_here(corpus, root)
    if found < corpus.wavs:
        raise DataError(
            f"{root / 'wav'}: found {found:,} of {corpus.wavs:,} clips of {corpus.name}.\n"
            + manual_steps(corpus, raw, root)
        )


def _unpack_hub(corpus: Corpus, folder: Path, jobs: int, progress: Progress | None) -> Path:
    assert corpus.hub is not None
    if find_corpus_folder(corpus, folder) is None:
        raise DataError(
            f"{folder}: no parquet files here; run `sqa-cli data download {corpus.name} --raw "
            f"{folder.parent}`"
        )
    files = [
        (path, part)
        for names in corpus.hub.splits.values()
        for part in names
        for path in parquet.parts(folder, part)
    ]
    needed = sum(path.stat().st_size for path, part in files if not parquet.is_unpacked(path, folder, part))
    require_room(folder, needed, "of audio are to be unpacked")
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        hub = corpus.hub
        tasks = [
            pool.submit(parquet.unpack_audio, path, folder, part, hub.audio, hub.id) for path, part in files
        ]
        try:
            for done, task in enumerate(tasks, start=1):
                task.result()
                if progress:
                    progress(f"{corpus.name}: unpacking", done, len(tasks))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return folder
