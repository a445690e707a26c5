"""Clips picked out of archives of others: where each lies, what it becomes, and archives that are hostile or cut."""

import bz2
import hashlib
import io
import logging
import os
import signal
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from loopback import Loopback, serve
from sqa_data import get_corpus
from sqa_data.audio import hear, look
from sqa_data.audio.level import active_level, with_active_level
from sqa_data.corpus import Corpus
from sqa_data.errors import DataError
from sqa_data.prepare import prepare
from sqa_data.prepare.unpack import require_audio, unpack_corpus
from sqa_data.sources import picked
from sqa_data.sources.download import download
from sqa_data.sources.http import Patience
from tiny_corpora import tone

TOP = "blizzard_wavs_and_scores_{}_release_version_{}"
# line of gather.scp -> where 02_gather.py looks for it, below the folder of the archive of its year
PLACES = {
    "BC2008-A-news_2008_0001.wav": "A/submission_directory/english/full/2008/news/news_2008_0001.wav",
    "BC2009-B-novel_2009_0002.wav": "B/submission_directory/english/EH1/2009/novel/wavs/novel_2009_0002.wav",
    "BC2010-C-news_2010_0003.wav": "C/submission_directory/english/EH1/2010/news/wavs/news_2010_0003.wav",
    "BC2011-D-mrt_2011_0004.wav": "D/submission_directory/2011/mrt/wav/mrt_2011_0004.wav",
    "BC2013-K-booksent_2013_0005.wav":
        "K/submission_directory/2013/EH1-English/audiobook_sentences/wav/booksent_2013_0005.wav",
    "BC2013-B-news-news_2013_0006.wav": "B/submission_directory/2013/EH2-English/news/wav/news_2013_0006.wav",
    "BC2016-E-audiobook_2016_0007.wav": "E/submission_directory/2016/audiobook/wav/audiobook_2016_0007.wav",
    "BC2019-F-celebrity_2019_0008.wav": "F/submission_directory/2019/celebrity/wav/celebrity_2019_0008.wav",
}  # fmt: skip


def renamed(line: str) -> str:
    """By the words of the corpus' facts: hashes of reversed names, reversed."""
    challenge, system, *_, uid = line.removesuffix(".wav").split("-")
    digest = [
        hashlib.md5("".join(reversed(text)).encode()).hexdigest()
        for text in (f"{challenge}-{system}", f"{challenge}-{system}-{uid}")
    ]
    return f"sys{''.join(reversed(digest[0][:5]))}-utt{''.join(reversed(digest[1][4:11]))}.wav"


def top(line: str) -> str:
    year = line[2:6]
    return TOP.format(year, 2 if year == "2013" else 1)


def packed(path: Path, members: list[tuple[tarfile.TarInfo | str, bytes]]) -> None:
    """A tar.bz2 of these members, in this order, whatever their names are."""
    with tarfile.open(path, "w:bz2") as archive:
        for member, content in members:
            info = tarfile.TarInfo(member) if isinstance(member, str) else member
            if isinstance(member, str):
                info.size = len(content)
            archive.addfile(info, io.BytesIO(content))


def corpus_of(folder: Path, name: str, lines: list[str]) -> Corpus:
    """A corpus with labels for these clips and one of its own, its archives of labels unpacked; wavs counted."""
    archive = "ood" if name == "bc19" else "main"
    clips = [renamed(line) for line in lines] + ["sys1-utta.wav"]
    data = folder / name / "unpacked" / archive / "DATA"
    (data / "sets").mkdir(parents=True)
    (data / "wav").mkdir()
    (data / "wav" / "sys1-utta.wav").write_bytes(tone("own", 16000))
    rows = [f"{clip.split('-')[0]},{clip},{3 + i % 2},t,l" for i, clip in enumerate(clips)]
    (data / "sets" / "TRAINSET").write_text("".join(f"{row}\n" for row in rows))
    for other in ("DEVSET", "TESTSET"):
        (data / "sets" / other).write_text("")
    (data.parent / "gather.scp").write_text("".join(f"{line}\r\n" for line in ["VCC2018-x-y.wav", *lines]))
    small = get_corpus(name)
    small = replace(small, wavs=len(clips), splits={"train": small.splits["train"]})
    assert small.picked is not None
    archives = tuple(replace(a, checksum=None) for a in small.picked.archives)
    return replace(small, picked=replace(small.picked, archives=archives))


def wav(folder: Path, line: str, name: str = "bvcc") -> Path:
    return folder / name / "unpacked" / ("ood" if name == "bc19" else "main") / "DATA" / "wav" / renamed(line)


def pack_all(folder: Path, lines: list[str], rate: int = 22050) -> None:
    by_archive: dict[str, list[tuple[tarfile.TarInfo | str, bytes]]] = {}
    for line in lines:
        members = by_archive.setdefault(top(line), [("./README", b"read me")])
        members.append((f"{top(line)}/{PLACES[line]}", tone(line, rate, 1.0)))
        members.append((f"{top(line)}/more/{Path(PLACES[line]).name}", tone("another", rate)))
    folder.mkdir(parents=True, exist_ok=True)
    for archive, members in by_archive.items():
        packed(folder / f"{archive}.tar.bz2", members)


@pytest.mark.parametrize("name", ["bvcc", "bc19"])
def test_each_year_in_its_place(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [line for line in PLACES if ("2019" in line) == (name == "bc19")]
    corpus = corpus_of(tmp_path, name, lines)
    pack_all(tmp_path / name, lines)
    monkeypatch.setattr(sys.modules["sqa_data.prepare.run"], "get_corpus", lambda _: corpus)
    told: list[tuple[str, int, int | None]] = []
    done = prepare(name, tmp_path, tmp_path / "out", progress=lambda *state: told.append(state))
    assert done.counts["train"].samples == len(lines) + 1
    assert not done.problems
    for line in lines:
        info = look(wav(tmp_path, line, name))
        assert (info.sample_rate, info.channels, info.frames) == (16000, 1, 16000)
        level = active_level(hear(wav(tmp_path, line, name)).samples[:, 0], 16000)
        assert level == pytest.approx(-26, abs=0.5)
    whole = {what for what, so_far, total in told if so_far == total and what.endswith(".tar.bz2")}
    assert whole == {f"{top(line)}.tar.bz2" for line in lines}
    assert sorted(p.name for p in wav(tmp_path, lines[0], name).parent.iterdir()) == sorted(
        ["sys1-utta.wav", *map(renamed, lines)]
    )


def test_the_clip_that_the_scripts_replace(tmp_path: Path) -> None:
    """sys4bafa-uttc2e86f6.wav is a copy of silence.wav, which comes with the labels."""
    corpus = corpus_of(tmp_path, "bvcc", [])
    main = tmp_path / "bvcc" / "unpacked" / "main"
    assert corpus.picked is not None
    plan = {"": {"silence.wav": "wav/sys4bafa-uttc2e86f6.wav"}}
    corpus = replace(corpus, wavs=2, picked=replace(corpus.picked, plan=lambda _: plan))
    with pytest.raises(DataError, match=r"silence\.wav: cannot be copied to .*uttc2e86f6\.wav: No such file"):
        unpack_corpus(corpus, tmp_path)
    (main / "silence.wav").write_bytes(b"as it is")
    unpack_corpus(corpus, tmp_path)
    assert (main / "DATA" / "wav" / "sys4bafa-uttc2e86f6.wav").read_bytes() == b"as it is"


def test_a_clip_of_16_khz_is_only_levelled(tmp_path: Path) -> None:
    """Not resampled: to the bit what test_level.py holds to sv56demo."""
    corpus = corpus_of(tmp_path, "bvcc", [LINE])
    pcm = np.random.default_rng(0).integers(-3000, 3000, 16000, dtype=np.int16)
    sound = io.BytesIO()
    soundfile.write(sound, pcm, 16000, format="WAV", subtype="PCM_16")
    packed(tmp_path / "bvcc" / f"{top(LINE)}.tar.bz2", [(PLACE, sound.getvalue())])
    unpack_corpus(corpus, tmp_path)
    made = soundfile.read(wav(tmp_path, LINE), dtype="int16")[0]
    assert np.array_equal(made, with_active_level(pcm, 16000))


def link(name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


def claims(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    """A header that claims `size` bytes, which do not follow."""
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info


LINE = "BC2008-A-news_2008_0001.wav"
OTHER = "BC2008-B-news_2008_0002.wav"
PLACE = f"{top(LINE)}/{PLACES[LINE]}"
OTHER_PLACE = PLACE.replace("/A/", "/B/").replace("0001", "0002")


def test_hostile_members_beside_the_clips(tmp_path: Path) -> None:
    """What is not asked for is not written, whatever its name; what is asked for is found all the same."""
    corpus = corpus_of(tmp_path, "bvcc", [LINE])
    hostile: list[tuple[tarfile.TarInfo | str, bytes]] = [
        ("/tmp/absolute.wav", b"x"),
        ("../../outside.wav", b"x"),
        (f"{top(LINE)}/../../../{renamed(LINE)}", b"x"),
        (link("etc", "/etc"), b""),
        (link(f"{top(LINE)}/hard.wav", "/etc/passwd", tarfile.LNKTYPE), b""),
        (link("pipe", "", tarfile.FIFOTYPE), b""),
        (f"./{PLACE}", tone("clip", 16000)),
    ]
    packed(tmp_path / "bvcc" / f"{top(LINE)}.tar.bz2", hostile)
    before = set(tmp_path.rglob("*"))
    unpack_corpus(corpus, tmp_path)
    new = set(tmp_path.rglob("*")) - before
    assert {path for path in new if path.suffix != ".lock"} == {wav(tmp_path, LINE)}


@pytest.mark.parametrize(
    ("member", "content", "message"),
    [
        (link(PLACE, "/etc/passwd"), b"", "a link to '/etc/passwd'"),
        (link(PLACE, OTHER_PLACE, tarfile.LNKTYPE), b"", "a link to"),
        (PLACE, b"no sound", "not readable as audio|not audio"),
        (PLACE, b"", "empty"),
        (PLACE, bytes(picked.LARGEST + 1), "expected a clip of at most"),
        ("elsewhere.wav", b"", "1 clips are not in it, the first .*news_2008_0001"),
    ],
    ids=["link", "hard link", "no audio", "empty", "large", "absent"],
)
def test_a_clip_that_cannot_be_made(
    member: tarfile.TarInfo | str,
    content: bytes,
    message: str,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """All others are made, then it is an error; with `partial` a line of the log."""
    corpus = corpus_of(tmp_path, "bvcc", [LINE, OTHER])
    members = [(member, content), (OTHER_PLACE, tone("other", 16000))]
    packed(tmp_path / "bvcc" / f"{top(LINE)}.tar.bz2", members)
    with pytest.raises(DataError, match=message):
        unpack_corpus(corpus, tmp_path, drop_archives=True)
    assert wav(tmp_path, OTHER).exists()
    assert not wav(tmp_path, LINE).exists()
    with caplog.at_level(logging.WARNING):
        unpack_corpus(corpus, tmp_path, partial=True, drop_archives=True)
    assert "news_2008_0001" in caplog.text
    # not dropped: it is still of use
    assert (tmp_path / "bvcc" / f"{top(LINE)}.tar.bz2").exists()


def test_two_channels_are_refused(tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "bvcc", [LINE])
    sound = io.BytesIO()
    soundfile.write(sound, np.zeros((160, 2)), 16000, format="WAV")
    packed(tmp_path / "bvcc" / f"{top(LINE)}.tar.bz2", [(PLACE, sound.getvalue())])
    with pytest.raises(DataError, match="2 channels; expected one"):
        unpack_corpus(corpus, tmp_path)


@pytest.mark.parametrize(
    "header",
    [
        claims("x", 1 << 40),
        claims("x", 1 << 40, tarfile.GNUTYPE_LONGNAME),
        claims("x", 1 << 40, tarfile.XHDTYPE),
    ],
    ids=["file", "long name", "pax"],
)
def test_sizes_that_are_not_there(header: tarfile.TarInfo, tmp_path: Path) -> None:
    """A terabyte that a header claims is neither waited for nor held."""
    corpus = corpus_of(tmp_path, "bvcc", [LINE])
    content = header.tobuf(tarfile.GNU_FORMAT) + bytes(1024)
    (tmp_path / "bvcc" / f"{top(LINE)}.tar.bz2").write_bytes(bz2.compress(content))
    with pytest.raises(DataError, match="damaged archive"):
        unpack_corpus(corpus, tmp_path)


@pytest.mark.parametrize("damage", ["cut", "flipped", "no bzip2", "no tar"])
def test_damaged_archives_leave_no_clip_of_the_damaged_part(damage: str, tmp_path: Path) -> None:
    """The checksum of a block comes after its bytes: a clip of a bad block never gets its name."""
    corpus = corpus_of(tmp_path, "bvcc", [LINE])
    path = tmp_path / "bvcc" / f"{top(LINE)}.tar.bz2"
    packed(path, [(PLACE, tone("clip", 16000, 4.0)), ("after", os.urandom(4096))])
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[:-20]
    elif damage == "flipped":
        content[10] ^= 1  # the checksum of the first block
    else:
        content = bytearray(b"no archive" if damage == "no bzip2" else bz2.compress(b"no tar" * 1000))
    path.write_bytes(content)
    with pytest.raises(DataError, match="damaged archive"):
        unpack_corpus(corpus, tmp_path)
    assert [p.name for p in wav(tmp_path, LINE).parent.iterdir()] == ["sys1-utta.wav"]


@pytest.mark.parametrize("partial", [False, True])
def test_all_archives_are_read_though_some_are_damaged(partial: bool, tmp_path: Path) -> None:
    """Each costs hours: one run says all that is wrong, also that a clip is not where it should be."""
    lines = [line for line in PLACES if "2019" not in line]
    corpus = corpus_of(tmp_path, "bvcc", lines)
    pack_all(tmp_path / "bvcc", lines)
    archives = sorted((tmp_path / "bvcc").glob("*.tar.bz2"))
    for damaged in archives[:2]:
        damaged.write_bytes(b"no archive")
    packed(archives[2], [("elsewhere.wav", b"")])
    with pytest.raises(DataError) as error:
        unpack_corpus(corpus, tmp_path, partial=partial, jobs=1)
    told = str(error.value)
    assert all(f"{path}: damaged archive" in told for path in archives[:2])
    assert (f"{archives[2]}: " in told) is not partial
    made = {line for line in lines if wav(tmp_path, line).exists()}
    assert made == {line for line in lines if tmp_path / "bvcc" / f"{top(line)}.tar.bz2" in archives[3:]}


def test_finished_clips_stay_and_only_archives_of_missing_ones_are_read(tmp_path: Path) -> None:
    lines = [line for line in PLACES if "2019" not in line]
    corpus = corpus_of(tmp_path, "bvcc", lines)
    pack_all(tmp_path / "bvcc", lines)
    wav(tmp_path, lines[0]).write_bytes(b"made before")
    told: set[str] = set()
    unpack_corpus(corpus, tmp_path, progress=lambda what, *_: told.add(what))
    assert wav(tmp_path, lines[0]).read_bytes() == b"made before"
    assert told == {f"{top(line)}.tar.bz2" for line in lines[1:]}
    unpack_corpus(corpus, tmp_path, progress=lambda *_: pytest.fail("read again"), drop_archives=True)
    assert not list((tmp_path / "bvcc").glob("*.tar.bz2"))


def test_made_by_hand_and_kept_without_the_list(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many clips as there should be: no archive is asked for, fetched or read, whatever the list says."""
    corpus = corpus_of(tmp_path, "bvcc", [LINE])
    without_labels = replace(corpus, archives=())
    monkeypatch.setattr(sys.modules["sqa_data.sources.download"], "get_corpus", lambda _: without_labels)
    (tmp_path / "bvcc" / "unpacked" / "main" / "gather.scp").unlink()
    with pytest.raises(DataError, match="found 1 of 2 clips of bvcc"):
        require_audio(corpus, tmp_path, unpack_corpus(corpus, tmp_path))
    with pytest.raises(DataError, match="6 of 6 files could not be brought"):
        download(["bvcc"], tmp_path, licence_ok=["bvcc"], base_url=server.url, patience=Patience(retries=0))
    wav(tmp_path, LINE).write_bytes(b"made by hand")
    assert download(["bvcc"], tmp_path, base_url=server.url) == []
    require_audio(corpus, tmp_path, unpack_corpus(corpus, tmp_path))


KILLED = """
import sys
from dataclasses import replace
from pathlib import Path
import sqa_data.sources.picked as picked
from sqa_data import get_corpus
from sqa_data.prepare.unpack import unpack_corpus
finish = picked._finish
def slowly(temporary, clip):
    finish(temporary, clip)
    print(clip.name, flush=True)
    sys.stdin.readline()
picked._finish, picked.BLOCK = slowly, 0
unpack_corpus(get_corpus("bvcc"), Path(sys.argv[1]))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_killed_between_two_clips(how: signal.Signals, tmp_path: Path) -> None:
    lines = [f"BC2008-A-news_2008_{i:04d}.wav" for i in range(6)]
    corpus = corpus_of(tmp_path, "bvcc", lines)
    folder = f"{top(LINE)}/A/submission_directory/english/full/2008/news"
    packed(
        tmp_path / "bvcc" / f"{top(LINE)}.tar.bz2",
        [(f"{folder}/news_2008_{i:04d}.wav", tone(str(i), 16000, 1.0)) for i in range(6)],
    )
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        first = process.stdout.readline().strip()
        process.stdin.write("\n")
        process.stdin.flush()
        second = process.stdout.readline().strip()
        process.send_signal(how)
    made = wav(tmp_path, LINE).parent
    times = {name: (made / name).stat().st_mtime_ns for name in (first, second)}
    here, expected = {p.name for p in made.glob("*.wav")}, {"sys1-utta.wav", first, second}
    # one more may be finished while Ctrl-C is on its way, but nothing half made is left
    assert here == expected if how == signal.SIGKILL else here >= expected and not list(made.glob(".*"))
    unpack_corpus(corpus, tmp_path)
    assert {p.name for p in made.iterdir()} == {"sys1-utta.wav", *map(renamed, lines)}
    assert times == {name: (made / name).stat().st_mtime_ns for name in times}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("BC2012-A-news_0001.wav", "is no clip"),
        ("BC2008-A", "is no clip"),
        ("BC2008-A-../../x.wav", "is no clip"),
        ("BC2008-A-other-news_2008_0001.wav", "is called sys.*one name for one clip"),
    ],
)
def test_lists_that_are_not_understood(line: str, message: str, tmp_path: Path) -> None:
    corpus = corpus_of(tmp_path, "bvcc", [LINE])
    scp = tmp_path / "bvcc" / "unpacked" / "main" / "gather.scp"
    scp.write_text(f"{LINE}\n{LINE}\n{line}\n")
    with pytest.raises(DataError, match=f"{scp}:3: .*{message}"):
        unpack_corpus(corpus, tmp_path)


@pytest.fixture
def server() -> "Loopback":
    with serve() as world:
        yield world


def test_download_brings_what_clips_are_missing_of(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All archives at first; none whose clips are here, whoever made them; room for all together is asked for."""
    lines = [line for line in PLACES if "2019" not in line]
    corpus = corpus_of(tmp_path / "raw", "bvcc", lines)
    corpus = replace(corpus, archives=())
    pack_all(tmp_path / "served", lines)
    for path in (tmp_path / "served").iterdir():
        server.files[f"/bvcc/{path.name}"] = path.read_bytes()
    monkeypatch.setattr(sys.modules["sqa_data.sources.download"], "get_corpus", lambda _: corpus)
    options = {"licence_ok": ["bvcc"], "base_url": server.url}
    sizes = sum(len(content) for content in server.files.values())
    with monkeypatch.context() as full:
        usage = type("Usage", (), {"free": sizes + (64 << 20) - 1})
        full.setattr("shutil.disk_usage", lambda _: usage)
        with pytest.raises(DataError, match=f"{sizes:,} bytes are to come"):
            download(["bvcc"], tmp_path / "raw", **options)  # type: ignore[arg-type]
    wav(tmp_path / "raw", lines[0]).write_bytes(b"made by hand")
    brought = download(["bvcc"], tmp_path / "raw", **options)  # type: ignore[arg-type]
    assert [item.path.name for item in brought] == sorted({f"{top(line)}.tar.bz2" for line in lines[1:]})
    unpack_corpus(corpus, tmp_path / "raw", drop_archives=True)
    server.log.clear()
    assert download(["bvcc"], tmp_path / "raw", **options) == []  # type: ignore[arg-type]
    assert server.log == []
    with pytest.raises(DataError, match="no file of bvcc is called 'nope"):
        download(["bvcc"], tmp_path / "raw", only="nope*", **options)  # type: ignore[arg-type]


def test_no_room_for_clips_is_told_with_the_archive(tmp_path: Path) -> None:
    """Such as a file where the folder of the clips should be."""
    corpus = corpus_of(tmp_path, "bvcc", [LINE])
    packed(tmp_path / "bvcc" / f"{top(LINE)}.tar.bz2", [(PLACE, tone("x", 16000))])
    folder = wav(tmp_path, LINE).parent
    (folder / "sys1-utta.wav").unlink()
    folder.rmdir()
    folder.write_bytes(b"")
    with pytest.raises(
        DataError, match=r"2008_release_version_1\.tar\.bz2: cannot make its clips: File exists"
    ):
        unpack_corpus(corpus, tmp_path)
    folder.unlink()
    unpack_corpus(corpus, tmp_path)
    assert wav(tmp_path, LINE).exists()


def test_partial_holds_for_the_corpus_whose_audio_labels_lie_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    corpus_of(tmp_path, "bvcc", [LINE])
    packed(tmp_path / "bvcc" / f"{top(LINE)}.tar.bz2", [("elsewhere.wav", b"")])
    (tmp_path / "vmc24-zoomed").mkdir()
    votes = "3.0 0.5 (1:0,2:0,3:2,4:0,5:0,total: 2)"
    (tmp_path / "vmc24-zoomed" / "VMC2024_MOS").write_text(f"sys1/sys1-utta.wav {votes}\n")
    with pytest.raises(DataError, match="1 clips are not in it"):
        prepare("vmc24-zoomed", tmp_path, tmp_path / "out")
    with caplog.at_level(logging.WARNING):
        prepared = prepare("vmc24-zoomed", tmp_path, tmp_path / "out", partial=True)
    assert "1 clips are not in it" in caplog.text
    assert prepared.counts["test"].samples == 1


def test_reading_ends_when_it_is_stopped(tmp_path: Path) -> None:
    """As after Ctrl-C: not at the end of 14 GB."""
    corpus = corpus_of(tmp_path, "bvcc", [LINE])
    archive = tmp_path / "bvcc" / f"{top(LINE)}.tar.bz2"
    packed(archive, [(PLACE, tone("x", 16000))])
    stop = threading.Event()
    stop.set()
    assert corpus.picked is not None
    with pytest.raises(KeyboardInterrupt):
        picked._pick(archive, {PLACE: wav(tmp_path, LINE)}, corpus.picked, None, stop)
    assert [p.name for p in wav(tmp_path, LINE).parent.iterdir()] == ["sys1-utta.wav"]
