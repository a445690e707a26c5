"""Whole or not at all, under the umask, and never onto what is no file."""

import itertools
import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from sqa_data import DataError
from sqa_data.atomic import (
    append_alone,
    atomic_folder,
    atomic_path,
    atomic_write,
    finish_replace,
    is_locked,
    lock,
    require_unwritten,
    sweep,
    temporary_name,
    write_small,
)


@pytest.fixture(params=[0o022, 0o002, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_modes_follow_the_umask(tmp_path: Path, umask: int) -> None:
    with atomic_write(tmp_path / "deep" / "a") as file:
        file.write(b"1")
    with atomic_path(
        tmp_path / "b"
    ) as path:  # a writer that replaces the file by a private one, as safetensors does
        other = path.with_name("other")
        other.write_bytes(b"2")
        other.chmod(0o600)
        other.replace(path)
    write_small(str(tmp_path / "e"), b"5")
    assert mode(tmp_path / "e") == 0o666 & ~umask
    with lock(tmp_path / "c", "busy"):
        assert mode(tmp_path / "c.lock") == 0o666 & ~umask
    with atomic_folder(tmp_path / "d") as folder:
        (folder / "x").touch()
    assert (
        mode(tmp_path / "deep" / "a") == mode(tmp_path / "b") == mode(tmp_path / "d" / "x") == 0o666 & ~umask
    )
    assert mode(tmp_path / "d") == mode(tmp_path / "deep") == 0o777 & ~umask
    assert ((tmp_path / "deep" / "a").read_bytes(), (tmp_path / "b").read_bytes()) == (b"1", b"2")
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix != ".lock") == ["b", "d", "deep", "e"]


def fill(folder: Path, error: type[BaseException], **options: bool) -> None:
    with atomic_folder(folder, **options) as new:
        (new / "one").touch()
        raise error


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old").touch()

    def write() -> None:
        with atomic_write(tmp_path / "file") as file:
            file.write(b"new")
            raise error

    def write_by_name() -> None:
        with atomic_path(tmp_path / "file") as path:
            path.unlink()
            raise error

    for act in (write, write_by_name, lambda: fill(tmp_path / "folder", error)):
        with pytest.raises(error):
            act()
    assert (tmp_path / "file").read_bytes() == b"old"
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == [
        "file",
        "folder",
        "folder/old",
    ]


def test_small_files(tmp_path: Path) -> None:
    path = tmp_path / "a"
    (tmp_path / "a.tmp").write_bytes(b"left by a kill, and longer")
    for content in (b"x" * 300_000, memoryview(b"new"), b""):
        write_small(str(path), content)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_but_a_file_is_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "dir").mkdir()
    for name, found in (("pipe", "no regular file"), ("dir", "a folder")):
        with pytest.raises(DataError, match=f"{name}: is {found}; expected the name of a file"):
            atomic_write(tmp_path / name).__enter__()
    with pytest.raises(DataError, match="/dev/null: is no regular file"):
        atomic_write("/dev/null").__enter__()


def test_two_writers_and_the_longest_name(tmp_path: Path) -> None:
    path = tmp_path / ("ü" * 127)  # 254 of at most 255 bytes
    with atomic_write(path) as first, atomic_write(path) as second:
        first.write(b"first")
        second.write(b"second")
    assert path.read_bytes() == b"first"  # whole, of the one that ended last
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_and_a_cut_replacement_completed(tmp_path: Path) -> None:
    folder = tmp_path / "best"
    for name in ("one", "two"):
        with atomic_folder(folder) as new:
            assert not list(new.iterdir())
            (new / name).touch()
        assert [p.name for p in folder.iterdir()] == [name]
    # killed after the old folder has lost its name
    folder.rename(tmp_path / ".best.old")
    (tmp_path / ".best.new").mkdir()
    (tmp_path / ".best.new" / "three").touch()
    (tmp_path / ".best.partial").mkdir()
    finish_replace(folder)
    finish_replace(folder)
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == ["best", "best/three"]


def test_a_kill_at_any_step_leaves_the_old_folder_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before any renaming, or halfway through any removal, after an earlier kill that left `.best.old`."""

    def replaced(folder: Path, last: int) -> bool:
        """Replace the folder, and die at step `last`; whether it was done before that."""
        steps, remove = itertools.count(), shutil.rmtree

        def killing(act: Callable[..., object]) -> Callable[..., object]:
            def step(path: Path, *arguments: object, **options: object) -> object:
                if next(steps) == last:
                    if act is remove:
                        next(path.glob("*"), tmp_path / "x").unlink(missing_ok=True)
                    raise KeyboardInterrupt
                return act(path, *arguments, **options)

            return step

        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            patch.setattr(Path, "rename", killing(Path.rename))
            patch.setattr(shutil, "rmtree", killing(remove))
            with atomic_folder(folder) as new:
                for name in "ab":
                    (new / name).write_text("new")
            return True
        return False

    for last in itertools.count():
        folder = tmp_path / str(last) / "best"
        for where in (folder, folder.with_name(".best.old")):
            where.mkdir(parents=True)
            for name in "ab":
                (where / name).write_text("old")
        done = replaced(folder, last)
        assert not folder.exists() or len(list(folder.iterdir())) == 2  # nobody finds half a folder
        finish_replace(folder)
        found = {path.name: path.read_text() for path in folder.iterdir()}
        assert found in ({"a": "new", "b": "new"}, *([] if done else [{"a": "old", "b": "old"}]))
        assert list(folder.parent.iterdir()) == [folder]
        if done:
            break
    assert last > 5


def test_a_resumable_folder_keeps_what_it_has(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "corpus", KeyboardInterrupt, resumable=True)
    assert not (tmp_path / "corpus").exists()
    with atomic_folder(tmp_path / "corpus", resumable=True) as folder:
        (folder / "two").touch()
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*")) == [
        "corpus",
        "corpus/one",
        "corpus/two",
    ]


def test_one_process_appends(tmp_path: Path) -> None:
    """The lock lies on the file, also on the one that took its place, and ends with the process."""
    path = tmp_path / "new" / "rows"
    code = "import os; from pathlib import Path; from sqa_data.atomic import append_alone\n"
    code += f"with append_alone(Path({str(path)!r})) as file: "
    with append_alone(path) as file:
        file.write(b"1")
        other = subprocess.run([sys.executable, "-c", code + "pass"], capture_output=True, text=True)
        assert f"{path}: another process writes this file" in other.stderr
        with pytest.raises(DataError, match="another process writes"):
            require_unwritten(path)
        with atomic_write(path) as replaced:
            replaced.write(b"2")
    subprocess.run([sys.executable, "-c", code + "file.write(b'3'); file.flush(); os.kill(os.getpid(), 9)"])
    require_unwritten(path)
    with append_alone(path) as file:
        file.write(b"4")
    assert path.read_bytes() == b"234"
    assert list(path.parent.iterdir()) == [path]


def test_a_lock_is_of_one_process(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run"
    with lock(path, "another training is writing here"):
        assert is_locked(path)
        code = f"from sqa_data.atomic import lock\nwith lock({str(path)!r}, 'is taken', wait_s=0): pass"
        other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert f"{path}: is taken" in other.stderr
    assert not is_locked(path)
    with lock(path, "is taken", wait_s=0):
        pass


def test_a_lock_is_waited_for_with_a_note(tmp_path: Path) -> None:
    path = tmp_path / ".downloads"
    with lock(path):
        code = f"from sqa_data.atomic import lock\nwith lock({str(path)!r}, wait_s=0): print('mine')"
        other = subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert other.stderr is not None
        note = other.stderr.readline()
        assert note == f"{path}.lock: another process holds this lock; waiting until it is done\n"
        assert other.poll() is None
    assert other.communicate(timeout=60) == ("mine\n", "")


def test_what_killed_writers_left_of_a_file_is_told_from_all_others(tmp_path: Path) -> None:
    left = [temporary_name(tmp_path / name) for name in ("a.json", "a.json", ".hidden", "a[b]")]
    others = [temporary_name(tmp_path / "a.jsonl"), tmp_path / "a.json", tmp_path / ".a.json.tmp"]
    for path in (*left, *others):
        path.touch()
    sweep(tmp_path, "a.json", ".hidden", "a[b]")
    assert set(tmp_path.iterdir()) == set(others)
    sweep(tmp_path / "none", "a.json")
