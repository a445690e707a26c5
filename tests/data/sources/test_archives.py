"""Archives that try to harm, that are damaged, that were unpacked halfway."""

import io
import os
import shutil
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Literal

import pytest
from sqa_data import DataError
from sqa_data.sources.archives import MARKER, safe_path, unpack, unpack_nested, unpacked_from
from tiny_corpora import tarred, zipped


def tar_with(path: Path, info: tarfile.TarInfo, content: bytes = b"") -> None:
    info.size = len(content)
    with tarfile.open(path, "w:gz") as archive:
        archive.addfile(info, io.BytesIO(content))


def test_names_with_spaces_and_beyond_ascii(tmp_path: Path) -> None:
    files = {"a b/ü 語.wav": b"1", "c/d/e.txt": b"22"}
    zipped(tmp_path / "a.zip", files)
    tarred(tmp_path / "b.tar.gz", files)
    for name in ("a.zip", "b.tar.gz"):
        unpack(tmp_path / name, tmp_path / f"{name}.d")
        found = {
            str(p.relative_to(tmp_path / f"{name}.d")): p.read_bytes()
            for p in (tmp_path / f"{name}.d").rglob("*.*")
            if p.name != MARKER
        }
        assert found == files


def test_several_archives_into_one_folder(tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", {"audio/1": b"1"})
    tarred(tmp_path / "b.tar.gz", {"audio/2": b"2", "labels": b"3"})
    unpack([tmp_path / "a.zip", tmp_path / "b.tar.gz"], tmp_path / "x")
    assert {p.name for p in (tmp_path / "x").rglob("*")} == {"audio", "1", "2", "labels", MARKER}


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil", "C:\\evil", "..\\evil"])
def test_paths_that_point_outside(tmp_path: Path, name: str) -> None:
    zipped(tmp_path / "a.zip", {"ok": b"", name: b"x"})
    tar_with(tmp_path / "a.tar.gz", tarfile.TarInfo(name), b"x")
    for archive in ("a.zip", "a.tar.gz"):
        with pytest.raises(DataError, match="points outside"):
            unpack(tmp_path / archive, tmp_path / "out" / "x")
        assert not (tmp_path / "out" / "x").exists()
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
@pytest.mark.parametrize("target", ["/etc/passwd", "inside"])
def test_tar_links_and_devices(tmp_path: Path, kind: bytes, target: str) -> None:
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, target
    tar_with(tmp_path / "a.tar.gz", info)
    with pytest.raises(DataError, match="link"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_zip_symlink(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("link")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match="link or a device"):
        unpack(tmp_path / "a.zip", tmp_path / "x")


def test_bombs(tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", {f"{i}": bytes(100_000) for i in range(4)})
    tarred(tmp_path / "a.tar.gz", {f"{i}": bytes(100_000) for i in range(4)})
    for name in ("a.zip", "a.tar.gz"):
        with pytest.raises(DataError, match="archive bomb"):
            unpack(tmp_path / name, tmp_path / "x", max_bytes=300_000)
        assert not (tmp_path / "x").exists()
        shutil.rmtree(tmp_path / "x.partial")


@pytest.mark.parametrize(("packed", "most"), [(10_240, 1 << 30), (8 << 20, 200 * (8 << 20))])
def test_a_bomb_is_told_by_its_claim(tmp_path: Path, packed: int, most: int) -> None:
    """Up to 1 GiB any archive may claim, a larger one 200 times its size; what claims more is not begun."""
    path = tmp_path / "a.tar"
    for claimed, said in ((most + 1, rf"expands beyond {most:,} bytes"), (most, "damaged archive")):
        with tarfile.open(path, "w") as archive:
            info = tarfile.TarInfo("a")
            info.size = claimed
            archive.addfile(info)
        os.truncate(path, packed)
        with pytest.raises(DataError, match=said):
            unpack(path, tmp_path / "x")


def test_a_zip_that_lies_about_a_size(tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", {"a": bytes(100_000)})
    content = (tmp_path / "a.zip").read_bytes()
    lie = content.replace((100_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    (tmp_path / "a.zip").write_bytes(lie)
    with pytest.raises(DataError, match=r"damaged|its header says"):
        unpack(tmp_path / "a.zip", tmp_path / "x")
    assert not [p for p in tmp_path.rglob("*") if p.is_file() and p.name == "a"]


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
@pytest.mark.parametrize("how", ["cut", "flip", "text"])
def test_damaged_archives(tmp_path: Path, name: str, how: str) -> None:
    path = tmp_path / name
    noise = os.urandom(50_000)
    (zipped if name == "a.zip" else tarred)(path, {"a.bin": noise, "b.bin": noise[::-1]})
    content = bytearray(path.read_bytes())
    if how == "cut":
        content = content[: len(content) // 2]
    elif how == "flip":
        content[len(content) // 3] ^= 255
    else:
        content = bytearray(b"<html>404 not found</html>")
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"{name}: (damaged archive|neither a zip nor a tar)"):
        unpack(path, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    files = {f"d/{i}.bin": os.urandom(1000) for i in range(5)}
    zipped(tmp_path / "a.zip", files)

    def stop(what: str, done: int, total: int | None) -> None:
        assert total == 5000
        if done == 3000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        unpack(tmp_path / "a.zip", tmp_path / "x", progress=stop)
    assert not (tmp_path / "x").exists()
    first = tmp_path / "x.partial" / "d" / "0.bin"
    stamp = first.stat().st_mtime_ns
    seen: list[int] = []
    unpack(tmp_path / "a.zip", tmp_path / "x", progress=lambda what, done, total: seen.append(done))
    assert seen[-1] == 5000
    assert (tmp_path / "x" / "d" / "0.bin").stat().st_mtime_ns == stamp
    assert {f"d/{p.name}": p.read_bytes() for p in (tmp_path / "x" / "d").iterdir()} == files
    assert not (tmp_path / "x.partial").exists()


def test_is_not_unpacked_over_what_is_there(tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", {"a": b"x"})
    (tmp_path / "x").mkdir()
    with pytest.raises(DataError, match="exists already"):
        unpack(tmp_path / "a.zip", tmp_path / "x")


def test_a_disk_that_fills_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zipped(tmp_path / "a.zip", {"a": bytes(10), "b": bytes(10)})
    real = Path.replace

    def full(self: Path, target: Path) -> Path:
        if target.name == "b":
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(DataError, match=r"cannot unpack: No space left on device .* run again to go on"):
        unpack(tmp_path / "a.zip", tmp_path / "x")
    assert not (tmp_path / "x").exists()
    monkeypatch.undo()
    unpack(tmp_path / "a.zip", tmp_path / "x")
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == [MARKER, "a", "b"]


def test_what_it_was_unpacked_from_is_part_of_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the moment of a kill, a folder that has its name also says which archive it is from."""
    zipped(tmp_path / "a.zip", {"a": b"x"})
    packed = {"a.zip": (tmp_path / "a.zip").stat().st_size}
    real, folder = Path.rename, tmp_path / "x"

    def killed(self: Path, target: Path) -> Path:
        moved = real(self, target)
        if target == folder:
            raise KeyboardInterrupt  # at once after the name is there
        return moved

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        unpack(tmp_path / "a.zip", folder)
    assert unpacked_from(folder) == packed


def test_an_archive_cannot_forge_the_marker(tmp_path: Path) -> None:
    zipped(tmp_path / "a.zip", {"a": b"x", MARKER: b'{"a.zip": 1}', f"d/{MARKER}": b"y"})
    unpack(tmp_path / "a.zip", tmp_path / "x")
    assert unpacked_from(tmp_path / "x") == {"a.zip": (tmp_path / "a.zip").stat().st_size}


def test_the_marker_of_the_first_version_is_read(tmp_path: Path) -> None:
    (tmp_path / "unpacked").mkdir()
    assert unpacked_from(tmp_path / "unpacked") is None
    (tmp_path / "unpacked.json").write_text('{"main.tar.gz": 12}')
    assert unpacked_from(tmp_path / "unpacked") == {"main.tar.gz": 12}
    (tmp_path / "unpacked" / MARKER).write_text("{")
    with pytest.raises(DataError, match=r"\.unpacked\.json: cannot be read as JSON"):
        unpacked_from(tmp_path / "unpacked")


def test_another_archive_does_not_go_on_with_the_members_of_the_first(tmp_path: Path) -> None:
    def stop(what: str, done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    zipped(tmp_path / "a.zip", {"a": b"old", "b": b"old"})
    with pytest.raises(KeyboardInterrupt):
        unpack(tmp_path / "a.zip", tmp_path / "x", progress=stop)
    zipped(tmp_path / "a.zip", {"a": b"new", "b": b"newer"})
    unpack(tmp_path / "a.zip", tmp_path / "x")
    assert (tmp_path / "x" / "a").read_bytes() == b"new"


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_members_of_a_damaged_archive_are_not_kept(kind: Literal["gz", "bz2", "xz"], tmp_path: Path) -> None:
    """A .tar.gz tells at its end that something was wrong before; the next download may have the same size."""
    path, noise = tmp_path / f"a.tar.{kind}", os.urandom(50_000)
    with tarfile.open(path, f"w:{kind}") as archive:
        for name, content in (("a.bin", noise), ("b.bin", noise[::-1])):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    good = path.read_bytes()
    bad = bytearray(good)
    bad[-6] ^= 255  # in the checksum
    path.write_bytes(bad)
    with pytest.raises(DataError, match="damaged archive"):
        unpack(path, tmp_path / "x")
    assert not (tmp_path / "x.partial").exists()
    path.write_bytes(good)
    unpack(path, tmp_path / "x")
    assert (tmp_path / "x" / "a.bin").read_bytes() == noise


def test_an_archive_inside_goes_and_a_cut_member_is_written_anew(tmp_path: Path) -> None:
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("a.wav", b"whole")
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as archive:
        archive.writestr("inner.zip", inner.getvalue())
    unpack(tmp_path / "outer.zip", tmp_path / "here", ("inner.zip",))
    assert sorted(p.name for p in (tmp_path / "here").iterdir()) == [MARKER, "a.wav"]
    (tmp_path / "inner.zip").write_bytes(inner.getvalue())
    (tmp_path / "a.wav").write_bytes(b"cut")
    unpack_nested(tmp_path, ("inner.zip",))
    assert (tmp_path / "a.wav").read_bytes() == b"whole"


@pytest.mark.parametrize("contents", [(b"one", b"two"), (b"one", b"three")], ids=["as long", "longer"])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_two_members_of_one_name_the_last_counts(contents: tuple[bytes, ...], tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "z.zip", "w") as zipped_twice,
        tarfile.open(tmp_path / "t.tar", "w") as tar,
    ):
        for content in contents:
            zipped_twice.writestr("a", content)
            info = tarfile.TarInfo("a")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    for archive in ("z.zip", "t.tar"):
        unpack(tmp_path / archive, tmp_path / archive[0])
        assert (tmp_path / archive[0] / "a").read_bytes() == contents[-1]


@pytest.mark.parametrize(("first", "second"), [("a", "a/b"), ("a/b", "a"), ("n" * 300, "b")])
def test_names_that_cannot_be_written_are_no_reason_to_run_again(
    first: str, second: str, tmp_path: Path
) -> None:
    zipped(tmp_path / "a.zip", {first: b"1", second: b"2"})
    with pytest.raises(
        DataError, match=r"such a name cannot be written here; unpack the archive by hand"
    ) as error:
        unpack(tmp_path / "a.zip", tmp_path / "x")
    assert "run again" not in str(error.value)


def test_a_packing_that_is_not_known_is_not_called_damaged(tmp_path: Path) -> None:
    """As Windows packs what is large, by Deflate64."""
    zipped(tmp_path / "a.zip", {"a": b"1"})
    content = bytearray((tmp_path / "a.zip").read_bytes())
    for method in (8, content.index(b"PK\1\2") + 10):
        content[method] = 9
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"compression method is not supported; unpack it by hand in"):
        unpack(tmp_path / "a.zip", tmp_path / "x")


def test_what_systems_add_is_passed_over() -> None:
    names = ("wav/._a.wav", "__MACOSX/a.wav", "wav/.DS_Store")
    assert [safe_path(name, Path("x.zip")) for name in names] == [None, None, None]
