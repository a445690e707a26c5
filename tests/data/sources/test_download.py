"""Archives of corpora: licences, sources and their fallbacks, checksums on first use, the hub and its cache."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from loopback import REVISION, Do, Loopback, serve
from sqa_data import DataError, download, get_corpus, list_corpora
from sqa_data.ids import SUFFIXES
from sqa_data.prepare.unpack import unpack_corpus
from sqa_data.sources.archives import MARKER
from sqa_data.sources.download import Wanted, _require_space, wanted_files
from sqa_data.sources.http import Patience
from sqa_data.sources.hub import hub_files
from sqa_data.sources.records import state
from sqa_data.sources.remote_labels import download_labels
from tiny_corpora import build

QUICK = Patience(retries=1, stall_s=0.5, backoff_s=0.01, longest_wait_s=1)
MIRROR = "urgent-challenge/urgent26_track2_sqa"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """The hub with the mirror, and a server of the user's own."""
    with serve() as world:
        monkeypatch.setenv("HF_ENDPOINT", world.url)
        world.repos[MIRROR] = {}
        yield world


def publish(server: Loopback, name: str, folder: Path, where: str = "both") -> dict[str, bytes]:
    """Put a small corpus onto the server: as the user's mirror /base/NAME/, on the hub, or both."""
    build(name, folder)
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    hub = get_corpus(name).hub
    if hub:
        server.repos[hub.repo] = files
        return files
    if where in ("both", "base"):
        server.files |= {f"/base/{name}/{file}": content for file, content in files.items()}
    if where in ("both", "hub"):
        server.repos[MIRROR] |= files
    return files


def get(server: Loopback, name: str, raw: Path, **options: object) -> list[str]:
    base = None if options.pop("no_base", False) else f"{server.url}/base"
    found = download([name], raw, licence_ok=["all"], base_url=base, patience=QUICK, **options)  # type: ignore[arg-type]
    return [item.path.relative_to(raw / name).as_posix() for item in found]


def test_from_the_hub_with_its_checksum(server: Loopback, tmp_path: Path) -> None:
    files = publish(server, "ttsds2", tmp_path / "published", "hub")
    assert get(server, "ttsds2", tmp_path / "raw", no_base=True) == ["ttsds2.zip"]
    assert (tmp_path / "raw" / "ttsds2" / "ttsds2.zip").read_bytes() == files["ttsds2.zip"]
    record = json.loads((tmp_path / "raw" / "ttsds2" / "downloads.json").read_text())["ttsds2.zip"]
    assert record["url"] == f"{server.url}/datasets/{MIRROR}/resolve/{REVISION}/ttsds2.zip"
    assert record["sha256"] == hashlib.sha256(files["ttsds2.zip"]).hexdigest()
    assert record["size"] == len(files["ttsds2.zip"])


def test_a_hub_file_that_is_not_what_the_hub_says(server: Loopback, tmp_path: Path) -> None:
    publish(server, "ttsds2", tmp_path / "published", "hub")
    server.always = Do(chunked=True, extra=b"x", drop=("Content-Length",))
    with pytest.raises(DataError, match="sent more than"):
        get(server, "ttsds2", tmp_path / "raw", no_base=True)


def test_parquet_datasets(server: Loopback, tmp_path: Path) -> None:
    files = publish(server, "urgent2025-sqa", tmp_path / "published")
    usual = [f for f in files if f.startswith(("data/validation-", "data/nonblind_test-"))]
    assert get(server, "urgent2025-sqa", tmp_path / "raw") == sorted(usual)
    everything = [f for f in files if f.endswith(".parquet")]
    assert get(server, "urgent2025-sqa", tmp_path / "raw", optional=True) == sorted(everything)
    for file in everything:
        assert (tmp_path / "raw" / "urgent2025-sqa" / file).read_bytes() == files[file]
    fetched = [path for path, _, status in server.log if "/resolve/" in path and status == 200]
    assert len(fetched) == len(everything)  # each once


def test_fallback_and_preference(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The original is asked first, then the hub; with `prefer` the other way round."""
    files = publish(server, "ttsds2", tmp_path / "published")
    corpus = get_corpus("ttsds2")
    (archive,) = corpus.archives
    original = f"{server.url}/original/ttsds2.zip"
    changed = replace(corpus, archives=(replace(archive, sources=(original, *archive.sources)),))
    monkeypatch.setattr(sys.modules["sqa_data.sources.download"], "get_corpus", lambda name: changed)

    def run(raw: str, **options: object) -> str:
        server.log.clear()
        (item,) = download(["ttsds2"], tmp_path / raw, patience=QUICK, **options)  # type: ignore[arg-type]
        return item.url

    assert "/resolve/" in run("a")  # the original answers 404
    assert server.log[0] == ("/original/ttsds2.zip", None, 404)
    server.files["/original/ttsds2.zip"] = files["ttsds2.zip"]
    assert run("b") == original
    assert "/resolve/" in run("c", prefer="mirror")
    server.repos[MIRROR].clear()
    assert run("d", prefer="mirror") == original
    server.files.clear()
    with pytest.raises(DataError) as error:
        run("e")
    assert "1 of 1 files could not be brought" in str(error.value)
    assert "/original/ttsds2.zip: HTTP 404" in str(error.value)
    assert f"datasets/{MIRROR}: no file 'ttsds2.zip' there" in str(error.value)


def test_wrong_published_checksum_falls_back(server: Loopback, tmp_path: Path) -> None:
    """The small somos.zip is not the published one, by size and by MD5: no source may pass."""
    publish(server, "somos", tmp_path / "published")
    with pytest.raises(DataError, match=r"expected 3,971,669,902"):
        get(server, "somos", tmp_path / "raw", prefer="mirror")
    assert not (tmp_path / "raw" / "somos" / "somos.zip").exists()


def test_checksum_of_first_use_is_held_to(server: Loopback, tmp_path: Path) -> None:
    publish(server, "pstn", tmp_path / "published", "base")
    assert get(server, "pstn", tmp_path / "raw") == ["train.zip"]
    archive = tmp_path / "raw" / "pstn" / "train.zip"
    archive.unlink()
    server.files["/base/pstn/train.zip"] += b"another"
    with pytest.raises(
        DataError, match=r"train\.zip: sha256 is .*, expected .*the publisher replaced the file"
    ):
        get(server, "pstn", tmp_path / "raw", prefer="original")
    assert not archive.exists()


def test_a_second_run_fetches_nothing_and_check_looks_again(server: Loopback, tmp_path: Path) -> None:
    publish(server, "ttsds2", tmp_path / "published", "hub")
    get(server, "ttsds2", tmp_path / "raw", no_base=True)
    archive = tmp_path / "raw" / "ttsds2" / "ttsds2.zip"
    server.log.clear()
    get(server, "ttsds2", tmp_path / "raw", no_base=True)
    assert server.log == []
    content = bytearray(archive.read_bytes())
    content[100] ^= 1
    archive.write_bytes(content)
    get(server, "ttsds2", tmp_path / "raw", no_base=True)  # the size is right, so this is not seen
    with pytest.raises(DataError, match=r"ttsds2\.zip: sha256 is"):
        get(server, "ttsds2", tmp_path / "raw", no_base=True, check=True)
    archive.write_bytes(content[:-1])
    with pytest.raises(DataError, match=r"ttsds2\.zip: sha256 is"):
        get(server, "ttsds2", tmp_path / "raw", no_base=True)
    assert server.log == []


def test_an_archive_dropped_after_unpacking_is_brought_again_only_for_another(
    server: Loopback, tmp_path: Path
) -> None:
    files = publish(server, "ttsds2", tmp_path / "published", "base")
    get(server, "ttsds2", tmp_path / "raw")
    folder, size = tmp_path / "raw" / "ttsds2", len(files["ttsds2.zip"])
    (folder / "unpacked").mkdir()
    for unpacked, requests in ((size, 0), (size + 1, 1)):
        (folder / "ttsds2.zip").unlink(missing_ok=True)
        (folder / "unpacked" / MARKER).write_text(json.dumps({"ttsds2.zip": unpacked}))
        server.log.clear()
        get(server, "ttsds2", tmp_path / "raw")
        assert len(server.log) == requests


def test_ctrl_c_ends_what_is_under_way_and_begins_nothing_more(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: set[str] = set()
    server.files = {f"/{i}.zip": bytes(1_000_000) for i in range(20)}
    server.always = Do(slow_s=0.02)
    corpus = get_corpus("ttsds2")
    wanted = [Wanted(corpus, path[1:], (server.url + path,), 1_000_000) for path in server.files]
    monkeypatch.setattr(sys.modules["sqa_data.sources.download"], "wanted_files", lambda *_, **__: wanted)

    def interrupt(name: str, done: int, total: int | None) -> None:
        begun.add(name)
        if len(begun) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(["ttsds2"], tmp_path, jobs=2, progress=interrupt)
    assert len(server.log) < 20
    folder = tmp_path / "ttsds2"
    assert not list(folder.glob("*.zip"))
    assert all(path.stat().st_size < 1_000_000 for path in folder.glob("*.part"))


def test_a_hubs_new_file_is_not_taken_for_the_one_of_the_first_download(
    server: Loopback, tmp_path: Path
) -> None:
    publish(server, "ttsds2", tmp_path / "published", "hub")
    get(server, "ttsds2", tmp_path / "raw", no_base=True)
    (tmp_path / "raw" / "ttsds2" / "ttsds2.zip").unlink()
    server.repos[MIRROR]["ttsds2.zip"] += b"new"
    with pytest.raises(DataError, match=r"ttsds2\.zip: sha256 is"):
        get(server, "ttsds2", tmp_path / "raw", no_base=True)


def test_put_there_by_hand(server: Loopback, tmp_path: Path) -> None:
    build("pstn", tmp_path / "raw" / "pstn")
    assert get(server, "pstn", tmp_path / "raw") == ["train.zip"]
    assert server.log == []
    assert "train.zip" in json.loads((tmp_path / "raw" / "pstn" / "downloads.json").read_text())


def test_a_file_put_here_while_its_part_lay_there(server: Loopback, tmp_path: Path) -> None:
    """Or a process that was killed when the file had its name and no record yet."""
    publish(server, "ttsds2", tmp_path / "published", "base")
    folder = tmp_path / "raw" / "ttsds2"
    shutil.copytree(tmp_path / "published", folder)
    for name in ("ttsds2.zip.part", "ttsds2.zip.part.json", ".downloads.json.123-0.tmp"):
        (folder / name).write_text("{}")
    assert get(server, "ttsds2", tmp_path / "raw") == ["ttsds2.zip"]
    assert state(get_corpus("ttsds2"), tmp_path / "raw") == "downloaded"
    left = {path.name for path in folder.iterdir() if path.suffix != ".lock"}
    assert left == {"ttsds2.zip", "downloads.json"}


def test_licences_are_accepted_once(server: Loopback, tmp_path: Path) -> None:
    publish(server, "pstn", tmp_path / "published", "base")
    publish(server, "ttsds2", tmp_path / "published2", "base")
    base = {"base_url": f"{server.url}/base", "patience": QUICK}
    with pytest.raises(DataError) as error:
        download(["pstn", "nisqa", "ttsds2"], tmp_path / "raw", **base)  # type: ignore[arg-type]
    message = str(error.value)
    assert "pstn: unknown" in message
    assert "nisqa: mixed" in message
    assert "ttsds2" not in message
    assert "--licence-ok pstn --licence-ok nisqa" in message
    assert server.log == []
    download(["ttsds2"], tmp_path / "raw", **base)  # type: ignore[arg-type]  # MIT: nothing to accept
    with pytest.raises(DataError, match="no corpus 'psnt'; did you mean 'pstn'"):
        download(["pstn"], tmp_path / "raw", licence_ok=["psnt"], **base)  # type: ignore[arg-type]
    download(["pstn"], tmp_path / "raw", licence_ok=["PSTN"], **base)  # type: ignore[arg-type]
    (tmp_path / "raw" / "pstn" / "train.zip").unlink()
    download(["pstn"], tmp_path / "raw", **base)  # type: ignore[arg-type]  # remembered


def test_room_first(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size, part = 15_945_499_507, tmp_path / "raw" / "nisqa" / "NISQA_Corpus.zip.part"
    part.parent.mkdir(parents=True)
    for here, free in ((0, 10**9), (0, size + (64 << 20) - 1), (10**9, 1)):  # 64 MiB stay free
        part.touch()
        os.truncate(part, here)
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: shutil._ntuple_diskusage(10, 9, free))
        with pytest.raises(DataError, match=f"{size - here:,} bytes are to come, but only {free:,} are free"):
            get(server, "nisqa", tmp_path / "raw")
    assert server.log == []


def test_one_failure_does_not_stop_the_others(server: Loopback, tmp_path: Path) -> None:
    publish(server, "ttsds2", tmp_path / "p1", "base")
    with pytest.raises(DataError, match="1 of 2 files could not be brought"):
        download(
            ["tencent", "ttsds2"], tmp_path / "raw", base_url=f"{server.url}/base", patience=QUICK, jobs=2
        )
    assert (tmp_path / "raw" / "ttsds2" / "ttsds2.zip").is_file()


def test_progress_counts_bytes(server: Loopback, tmp_path: Path) -> None:
    files = publish(server, "ttsds2", tmp_path / "published", "base")
    seen: list[tuple[str, int, int | None]] = []
    get(server, "ttsds2", tmp_path / "raw", progress=lambda *args: seen.append(args))
    size = len(files["ttsds2.zip"])
    assert seen[-1] == ("ttsds2/ttsds2.zip", size, size)


def test_a_hub_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match="cannot ask the Hugging Face Hub"):
        hub_files(MIRROR)


def test_offline_takes_the_cache(server: Loopback, tmp_path: Path) -> None:
    """In a process of its own: huggingface_hub reads its environment once."""
    files = publish(server, "ttsds2", tmp_path / "published", "hub")
    repo = tmp_path / "home" / "hub" / f"datasets--{MIRROR.replace('/', '--')}"
    (repo / "refs").mkdir(parents=True)
    (repo / "refs" / "main").write_text(REVISION)
    (repo / "snapshots" / REVISION).mkdir(parents=True)
    (repo / "snapshots" / REVISION / "ttsds2.zip").write_bytes(files["ttsds2.zip"])
    script = (
        "import sys; from sqa_data import download\n"
        "print(download(sys.argv[2:], sys.argv[1], licence_ok=['all'])[0].size)"
    )
    environment = os.environ | {"HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "1"}

    def run(name: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", script, str(tmp_path / "raw"), name]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    server.log.clear()
    result = run("ttsds2")
    assert result.stdout.strip() == str(len(files["ttsds2.zip"])), result.stderr
    assert "HF_HUB_OFFLINE forbids to download it" in run("urgent2025-sqa").stderr
    assert server.log == []

    # online the cached copy is taken too, once the hub says that it is the newest
    environment |= {"HF_HUB_OFFLINE": "0"}
    shutil.rmtree(tmp_path / "raw")
    assert run("ttsds2").stdout.strip() == str(len(files["ttsds2.zip"]))
    asked = [path.split("?")[0] for path, _, _ in server.log if "datasets" in path]
    assert asked == [f"/api/datasets/{MIRROR}"]


def test_labels_only_of_a_zip(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A zip whose audio is large: only its index and the label files travel."""
    import zipfile

    build("nisqa", tmp_path / "published")
    archive = tmp_path / "published" / "NISQA_Corpus.zip"
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("NISQA_Corpus/NISQA_TRAIN_SIM/deg/big.wav", os.urandom(3_000_000))
    with zipfile.ZipFile(archive, "a") as file:
        file.writestr("NISQA_Corpus/README2.txt", "last")
    server.files["/base/nisqa/NISQA_Corpus.zip"] = archive.read_bytes()
    written = download_labels(get_corpus("nisqa"), tmp_path / "raw", base_url=f"{server.url}/base")
    assert len(written) == 7
    with zipfile.ZipFile(archive) as file:
        for path in written:
            inside = path.relative_to(tmp_path / "raw" / "nisqa" / "labels").as_posix()
            assert path.read_bytes() == file.read(inside)
    sent = [tuple(map(int, str(r).removeprefix("bytes=").split("-"))) for _, r, _ in server.log]
    assert sum(last - first + 1 for first, last in sent) < 1_500_000 < archive.stat().st_size


def test_labels_only_of_a_server_that_cuts(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sqa_data.sources.remote_labels.RETRY_WAITS_S", (0.01, 0.01))
    publish(server, "ttsds2", tmp_path / "published", "base")
    server.script.extend([Do(status=503), Do(), Do(cut=10), Do(status=429)])
    base = f"{server.url}/base"
    (path,) = download_labels(get_corpus("ttsds2"), tmp_path / "raw", base_url=base)
    assert path.read_text().startswith("audio,dataset,system,rating_type")
    server.always = Do(status=503)
    with pytest.raises(DataError, match=r"HTTP 503"):
        download_labels(get_corpus("ttsds2"), tmp_path / "raw", base_url=base)


def test_labels_only_of_parquet(server: Loopback, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    publish(server, "urgent2025-sqa", tmp_path / "published")
    written = download_labels(get_corpus("urgent2025-sqa"), tmp_path / "raw")
    assert len(written) == 3
    for path in written:
        table = pq.read_table(path)
        full = pq.read_table(tmp_path / "published" / "data" / path.name)
        assert str(table.to_pydict()) == str(full.drop_columns("audio").to_pydict())  # NaN included


def test_labels_only_needs_ranges_and_an_index(server: Loopback, tmp_path: Path) -> None:
    publish(server, "pstn", tmp_path / "published", "base")
    publish(server, "bvcc", tmp_path / "published2", "base")
    with pytest.raises(DataError, match="a tar archive has no index"):
        download_labels(get_corpus("bvcc"), tmp_path / "raw", base_url=f"{server.url}/base")
    server.always = Do(ignore_range=True)
    publish(server, "ttsds2", tmp_path / "published3", "hub")
    with pytest.raises(DataError, match="does not serve ranges; download the whole archive"):
        download_labels(get_corpus("ttsds2"), tmp_path / "raw")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(c.name, marks=[pytest.mark.slow] if c.name == "vcc2020" else [])  # the longest by far
        for c in list_corpora()
        if not c.hub
    ],
)
def test_labels_alone_are_those_of_the_whole_corpus(name: str, server: Loopback, tmp_path: Path) -> None:
    """Label files that are published beside an archive too; clips are not brought."""
    corpus = get_corpus(name)
    publish(server, name, tmp_path / "raw" / name, "base")
    root = unpack_corpus(corpus, tmp_path / "raw", partial=True)
    options = {"base_url": f"{server.url}/base"}
    if all(".tar" in archive.name for archive in corpus.archives):
        with pytest.raises(DataError, match=f"{name}: .* cannot be read alone: a tar archive has no index"):
            download_labels(corpus, tmp_path / "labels", **options)
        return
    written = download_labels(corpus, tmp_path / "labels", **options)
    whole = {p.read_bytes() for pattern in corpus.label_files for p in root.glob(pattern)}
    assert {path.read_bytes() for path in written} == whole
    assert not any(path.suffix in SUFFIXES for path in (tmp_path / "labels").rglob("*"))


def test_only_archives_are_asked_for_their_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a corpus of 157 small files none: the room that stays free is larger."""
    asked: list[str] = []

    def ask(urls: list[str]) -> dict[str, int]:
        asked.extend(urls)
        return {}

    monkeypatch.setattr("sqa_data.sources.download.told_sizes", ask)
    for name in ("p835-reference", "vcc2018"):
        corpus = get_corpus(name)
        _require_space(wanted_files(corpus), tmp_path / "raw")
        assert asked == [a.sources[0] for a in corpus.archives if name == "vcc2018"]
