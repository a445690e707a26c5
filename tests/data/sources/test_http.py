"""One file from servers that cut, stall, lie and change: the same bytes in the end, or a clear error."""

import email.utils
import errno
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2 as httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback import Do, Loopback, serve
from sqa_data import DataError
from sqa_data.sources.answers import PartState, RemoteFile, judge, retry_after
from sqa_data.sources.http import ChecksumError, Patience, download_file, told_sizes

CONTENT = os.urandom(300_000)
SHA = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()
QUICK = Patience(retries=3, stall_s=0.4, backoff_s=0.01, longest_wait_s=5)


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serve() as world:
        world.files["/a.zip"] = CONTENT
        yield world


def get(server: Loopback, folder: Path, **facts: object) -> bytes:
    path = folder / "a.zip"
    fetched = download_file(RemoteFile(f"{server.url}/a.zip", **facts), path, patience=QUICK)  # type: ignore[arg-type]
    assert fetched.size == path.stat().st_size
    assert fetched.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert [p.name for p in folder.iterdir() if not p.name.endswith(".lock")] == ["a.zip"]
    return path.read_bytes()


@pytest.mark.parametrize("facts", [{}, {"size": len(CONTENT)}, {"checksum": SHA}, {"checksum": MD5}])
def test_a_good_server(server: Loopback, tmp_path: Path, facts: dict[str, object]) -> None:
    assert get(server, tmp_path, **facts) == CONTENT
    assert get(server, tmp_path, **facts) == CONTENT
    assert len(server.log) == 1  # the second time the file was here


@pytest.mark.parametrize("etag", [True, False])
def test_a_server_that_cuts(server: Loopback, tmp_path: Path, etag: bool) -> None:
    server.etag = etag
    server.script.extend([Do(cut=70_000), Do(cut=0), Do(cut=1), Do(cut=100_000)])
    assert get(server, tmp_path, checksum=SHA) == CONTENT
    asked = server.ranges("/a.zip")
    assert asked[0] is None
    assert all(str(r).startswith("bytes=") for r in asked[1:])


def test_a_server_that_cuts_for_ever_is_not_given_up_while_bytes_come(
    server: Loopback, tmp_path: Path
) -> None:
    server.always = Do(cut=70_000)  # five answers, of which QUICK allows three in a row without a byte
    assert get(server, tmp_path) == CONTENT


def test_a_server_that_stalls(server: Loopback, tmp_path: Path) -> None:
    server.script.extend([Do(stall=100_000), Do(stall=0)])
    assert get(server, tmp_path) == CONTENT


def test_a_server_that_ignores_range(server: Loopback, tmp_path: Path) -> None:
    server.script.append(Do(cut=100_000))
    server.always = Do(ignore_range=True)
    assert get(server, tmp_path, checksum=SHA) == CONTENT
    assert server.log[-1][2] == 200


@pytest.mark.parametrize("etag", [True, False])
def test_a_file_that_changes_meanwhile(server: Loopback, tmp_path: Path, etag: bool) -> None:
    """With an ETag the server sends the new file whole; without one the new length gives it away."""
    server.etag = etag
    server.script.append(Do(cut=100_000))
    new = os.urandom(200_000)
    path = tmp_path / "a.zip"

    def change(name: str, done: int, total: int | None) -> None:
        server.files["/a.zip"] = new

    download_file(RemoteFile(f"{server.url}/a.zip"), path, patience=QUICK, progress=change)
    assert path.read_bytes() == new
    if etag:  # If-Range: one answer brings it all
        assert [status for _, _, status in server.log] == [200, 200]


def test_a_changed_file_of_the_same_length_behind_a_lax_server(server: Loopback, tmp_path: Path) -> None:
    """It answers 206 whatever If-Range says, but its ETag is new."""
    new = os.urandom(len(CONTENT))
    server.script.append(Do(cut=100_000))
    part = tmp_path / "a.zip.part"
    stop = threading.Event()
    with pytest.raises(KeyboardInterrupt):
        download_file(
            RemoteFile(f"{server.url}/a.zip"), tmp_path / "a.zip", progress=lambda *_: stop.set(), stop=stop
        )
    assert part.stat().st_size
    server.files["/a.zip"] = new
    action, _, why = judge(
        206,
        {"content-range": "bytes 5-9/10", "etag": '"new"'},
        5,
        PartState("u", 10, '"old"'),
    )
    assert (action, why) == ("again", "the file on the server changed")
    assert get(server, tmp_path) == new


def test_416_when_all_is_here(server: Loopback, tmp_path: Path) -> None:
    """A server without Content-Length was killed at the last byte: only 416 tells that nothing is missing."""
    (tmp_path / "a.zip.part").write_bytes(CONTENT)
    (tmp_path / "a.zip.part.json").write_text(json.dumps({"url": f"{server.url}/a.zip"}))
    assert get(server, tmp_path, checksum=SHA) == CONTENT
    assert server.log == [("/a.zip", f"bytes={len(CONTENT)}-", 416)]


def test_416_when_the_file_shrank(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(CONTENT + b"more")
    (tmp_path / "a.zip.part.json").write_text(json.dumps({"url": f"{server.url}/a.zip"}))
    assert get(server, tmp_path) == CONTENT


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_busy_server(server: Loopback, tmp_path: Path, status: int) -> None:
    server.script.extend([Do(status=status), Do(cut=1000), Do(status=status)])
    assert get(server, tmp_path) == CONTENT


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_kept(server: Loopback, tmp_path: Path, as_date: bool) -> None:
    value = email.utils.formatdate(time.time() + 2, usegmt=True) if as_date else "1"
    server.script.append(Do(status=503, headers=(("Retry-After", value),)))
    start = time.monotonic()
    assert get(server, tmp_path) == CONTENT
    assert time.monotonic() - start > 0.9


def test_waiting_is_told(server: Loopback, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server.script.append(Do(status=503))
    assert get(server, tmp_path) == CONTENT
    assert caplog.messages == [f"{server.url}/a.zip: HTTP 503; asking again in 0 s (1 of 3)"]


def test_waits_double_up_to_the_longest(server: Loopback, tmp_path: Path) -> None:
    waits: list[float] = []
    stop = threading.Event()
    stop.wait = lambda timeout=None: bool(waits.append(timeout or 0))  # type: ignore[method-assign]
    server.script.extend([Do(status=503)] * 5)
    patience = Patience(retries=6, backoff_s=1, longest_wait_s=10)
    download_file(RemoteFile(f"{server.url}/a.zip"), tmp_path / "a.zip", patience=patience, stop=stop)
    # with jitter: half as long to half as long again
    assert all(
        min(half, 10) <= wait <= min(3 * half, 10)
        for wait, half in zip(waits, (0.5, 1, 2, 4, 8), strict=True)
    )


def test_a_server_that_asks_for_too_long(server: Loopback, tmp_path: Path) -> None:
    server.script.append(Do(status=429, headers=(("Retry-After", "86400"),)))
    with pytest.raises(DataError, match=r"asks to wait 86400 s \(HTTP 429\); run again after that"):
        get(server, tmp_path)


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_server_that_refuses(server: Loopback, tmp_path: Path, status: int) -> None:
    server.script.append(Do(status=status))
    with pytest.raises(DataError, match=rf"a\.zip: HTTP {status}"):
        get(server, tmp_path)
    assert len(server.log) == 1


def test_patience_ends(server: Loopback, tmp_path: Path) -> None:
    server.script.append(Do(cut=5000))
    server.always = Do(status=503)
    with pytest.raises(
        DataError, match=r"given up after 4 failures in a row \(HTTP 503\); 5,000 bytes are kept"
    ):
        get(server, tmp_path)
    server.always = Do()
    assert get(server, tmp_path) == CONTENT
    assert server.ranges("/a.zip")[-1] == "bytes=5000-"


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"given up after 4 failures in a row .*ConnectError"):
        download_file(RemoteFile("http://127.0.0.1:9/a.zip"), tmp_path / "a.zip", patience=QUICK)
    with pytest.raises(DataError, match="nonsense"):
        download_file(RemoteFile("nonsense://x/a.zip"), tmp_path / "a.zip", patience=QUICK)


@pytest.mark.parametrize(
    "lie", ["bytes 0-299999/300000", "bytes 5-299999/300000", "bytes 1000-299999/999999", "nonsense"]
)
def test_a_wrong_content_range(server: Loopback, tmp_path: Path, lie: str) -> None:
    server.script.extend([Do(cut=1000), Do(content_range=lie)])
    assert get(server, tmp_path) == CONTENT
    assert server.ranges("/a.zip") == [None, "bytes=1000-", None]


def test_a_wrong_length(server: Loopback, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the server's file has 300,000 bytes; expected 299,999"):
        get(server, tmp_path, size=299_999)
    assert not (tmp_path / "a.zip").exists()


def test_more_than_announced(server: Loopback, tmp_path: Path) -> None:
    server.always = Do(chunked=True, extra=b"more", drop=("Content-Length",))
    with pytest.raises(DataError, match="sent more than the 300,000 bytes"):
        get(server, tmp_path, size=300_000)
    assert not (tmp_path / "a.zip").exists()


def test_no_length_at_all(server: Loopback, tmp_path: Path) -> None:
    server.always = Do(chunked=True)
    assert get(server, tmp_path) == CONTENT
    (tmp_path / "a.zip").unlink()
    server.script.append(Do(chunked=True, cut=100_000))
    assert get(server, tmp_path) == CONTENT


def test_an_empty_file(server: Loopback, tmp_path: Path) -> None:
    server.files["/a.zip"] = b""
    assert get(server, tmp_path) == b""


@pytest.mark.parametrize("checksum", ["sha256:" + "0" * 64, "md5:" + "0" * 32])
def test_a_wrong_checksum(server: Loopback, tmp_path: Path, checksum: str) -> None:
    with pytest.raises(ChecksumError) as error:
        get(server, tmp_path, checksum=checksum)
    message = str(error.value)
    for word in ("a.zip", checksum.split(":")[1], hashlib.new(checksum.split(":")[0], CONTENT).hexdigest()):
        assert word in message
    assert len(server.log) == 1  # it came whole, so once is enough
    assert not list(tmp_path.glob("a.zip*"))


def test_a_damaged_part_costs_one_more_download(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(bytes(1000))
    (tmp_path / "a.zip.part.json").write_text(json.dumps({"url": f"{server.url}/a.zip", "size": 300_000}))
    assert get(server, tmp_path, checksum=SHA) == CONTENT
    assert server.ranges("/a.zip") == ["bytes=1000-", None]


@pytest.mark.parametrize("state", [None, "", "{", "[]", '{"other": 1}'])
def test_a_part_without_its_state_is_not_trusted(server: Loopback, tmp_path: Path, state: str | None) -> None:
    (tmp_path / "a.zip.part").write_bytes(b"from who knows where")
    if state is not None:
        (tmp_path / "a.zip.part.json").write_text(state)
    assert get(server, tmp_path) == CONTENT
    assert server.ranges("/a.zip") == [None]


def test_a_part_of_another_source(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(CONTENT[:1000])
    (tmp_path / "a.zip.part.json").write_text(json.dumps({"url": "http://mirror/a.zip", "size": 300_000}))
    # only a checksum can tell whether two sources have the same file
    assert get(server, tmp_path, checksum=SHA) == CONTENT
    assert server.ranges("/a.zip") == ["bytes=1000-"]
    (tmp_path / "a.zip").unlink()
    (tmp_path / "a.zip.part").write_bytes(CONTENT[:1000])
    (tmp_path / "a.zip.part.json").write_text(json.dumps({"url": "http://mirror/a.zip", "size": 300_000}))
    assert get(server, tmp_path) == CONTENT
    assert server.ranges("/a.zip")[-1] is None


def test_a_part_stays_for_its_source_until_another_one_answers(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(CONTENT[:1000])
    state = {"url": f"{server.url}/a.zip", "size": len(CONTENT)}
    (tmp_path / "a.zip.part.json").write_text(json.dumps(state))
    mirror = RemoteFile("http://127.0.0.1:9/a.zip")
    with pytest.raises(DataError, match="given up after 1 failures"):
        download_file(mirror, tmp_path / "a.zip", patience=Patience(retries=0))
    server.etag = False
    assert get(server, tmp_path) == CONTENT
    assert server.ranges("/a.zip") == ["bytes=1000-"]


def test_an_answer_in_parts_that_nobody_asked_for_begins_anew(server: Loopback, tmp_path: Path) -> None:
    (tmp_path / "a.zip.part").write_bytes(b"from who knows where")
    whole = (("Content-Range", f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"),)
    server.script.append(Do(status=206, headers=whole, extra=CONTENT))
    assert get(server, tmp_path) == CONTENT


@pytest.mark.parametrize("limit", [100_000, len(CONTENT) - 10])
def test_a_full_disk(limit: int, server: Loopback, tmp_path: Path) -> None:
    """Real: the process may write no file longer than this; also where only the last chunk is written in part."""
    script = (
        "import resource, signal, sys; from pathlib import Path; from sqa_data.sources.http import *\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "download_file(RemoteFile(sys.argv[1]), Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", script, f"{server.url}/a.zip", str(tmp_path / "a.zip")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "FullDiskError" in result.stderr
    assert "the disk is full; what came so far is kept in a.zip.part" in result.stderr
    assert not (tmp_path / "a.zip").exists()
    assert get(server, tmp_path, checksum=SHA) == CONTENT
    assert server.ranges("/a.zip")[-1] == f"bytes={limit}-"


def test_too_little_room_is_seen_before_the_first_byte(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(DataError, match=r"300,000 bytes of a\.zip are still to come, but only 1 are free"):
        get(server, tmp_path)


def test_errors_of_the_disk_are_told(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(DataError, match="cannot write: Input/output error"):
        get(server, tmp_path)


KILLED = """
import sys, time
from pathlib import Path
from sqa_data.sources.answers import RemoteFile; from sqa_data.sources.http import download_file
download_file(RemoteFile(sys.argv[1]), Path(sys.argv[2]), progress=lambda name, done, total: print(done, flush=True))
"""


def test_what_the_server_is_told(server: Loopback, tmp_path: Path) -> None:
    server.script.append(Do(cut=100_000))
    assert get(server, tmp_path, headers={"Authorization": "Bearer x"}) == CONTENT
    first, second = server.headers
    for headers in (first, second):
        assert (headers["authorization"], headers["accept-encoding"]) == ("Bearer x", "identity")
    assert "if-range" not in first
    assert second["if-range"] == f'"{hashlib.md5(CONTENT).hexdigest()}"'


@pytest.mark.parametrize(
    ("etag", "told"), [('"strong"', '"strong"'), ('W/"weak"', "a date"), (None, "a date")]
)
def test_only_a_strong_etag_says_that_bytes_are_the_same(etag: str | None, told: str) -> None:
    assert PartState("u", etag=etag, last_modified="a date").validator == told


def test_a_date_gone_by_is_no_time_to_wait() -> None:
    assert retry_after("Fri, 31 Dec 1999 23:59:59 GMT") == 0


def test_room_is_needed_for_the_rest_alone(
    server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.zip.part").write_bytes(CONTENT[:-1000])
    (tmp_path / "a.zip.part.json").write_text(json.dumps({"url": f"{server.url}/a.zip", "size": 300_000}))
    for free in (999, 1000):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: shutil._ntuple_diskusage(10, 9, free))
        if free < 1000:
            with pytest.raises(DataError, match=r"1,000 bytes of a\.zip are still to come, but only 999"):
                get(server, tmp_path)
    assert get(server, tmp_path) == CONTENT


def test_told_to_stop_it_keeps_its_part(server: Loopback, tmp_path: Path) -> None:
    stop, remote = threading.Event(), RemoteFile(f"{server.url}/a.zip")
    for busy in (False, True):  # while receiving, and while waiting for a busy server
        server.script.extend([Do(status=503)] if busy else [])
        with pytest.raises(KeyboardInterrupt):
            download_file(remote, tmp_path / "a.zip", progress=lambda *_: stop.set(), stop=stop)
        assert 0 < (tmp_path / "a.zip.part").stat().st_size < len(CONTENT)
    part = (tmp_path / "a.zip.part").stat().st_size
    assert len(server.log) == 2
    assert get(server, tmp_path) == CONTENT
    assert server.ranges("/a.zip")[1:] == [f"bytes={part}-"] * 2


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_and_run_again(server: Loopback, tmp_path: Path, how: signal.Signals) -> None:
    server.always = Do(slow_s=0.1)
    command = [sys.executable, "-c", KILLED, f"{server.url}/a.zip", str(tmp_path / "a.zip")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.readline()
        process.send_signal(how)
    part = (tmp_path / "a.zip.part").stat().st_size
    assert 0 < part < len(CONTENT)
    assert not (tmp_path / "a.zip").exists()
    server.always = Do()
    assert get(server, tmp_path) == CONTENT
    assert server.ranges("/a.zip") == [None, f"bytes={part}-"]


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.integers(0, 300_000), max_size=3), st.booleans())
def test_cut_at_any_byte(tmp_path_factory: pytest.TempPathFactory, cuts: list[int], etag: bool) -> None:
    with serve() as world:
        world.files["/a.zip"] = CONTENT
        world.etag = etag
        world.script.extend(Do(cut=cut) for cut in cuts)
        assert get(world, tmp_path_factory.mktemp("cut")) == CONTENT


def test_two_processes_at_once(server: Loopback, tmp_path: Path) -> None:
    server.always = Do(slow_s=0.05)
    command = [sys.executable, "-c", KILLED, f"{server.url}/a.zip", str(tmp_path / "a.zip")]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(2)]
    for process in both:
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors.decode()
    assert (tmp_path / "a.zip").read_bytes() == CONTENT
    assert len(server.log) == 1


@pytest.mark.parametrize(
    ("status", "headers", "have", "state", "action"),
    [
        (200, {"content-length": "5"}, 0, PartState("u"), "restart"),
        (200, {}, 3, PartState("u", 5), "restart"),
        (
            200,
            {"content-length": "5", "content-type": "text/html; charset=utf-8"},
            0,
            PartState("u"),
            "refuse",
        ),
        (206, {"content-range": "bytes 3-4/5"}, 3, PartState("u", 5), "append"),
        (206, {"content-range": "bytes 3-4/*"}, 3, PartState("u", 5), "append"),
        (206, {"content-range": "bytes 3-4/4"}, 3, PartState("u"), "again"),
        (206, {"content-range": "bytes 2-4/5"}, 3, PartState("u", 5), "again"),
        (206, {}, 3, PartState("u", 5), "again"),
        (416, {"content-range": "bytes */5"}, 5, PartState("u", 5), "whole"),
        (416, {"content-range": "bytes */5"}, 5, PartState("u", 9), "again"),
        (416, {"content-range": "bytes */4"}, 5, PartState("u", 5), "again"),
        (416, {}, 5, PartState("u", 5), "again"),
        (503, {}, 3, PartState("u", 5), "wait"),
        (404, {}, 3, PartState("u", 5), "refuse"),
        (304, {}, 3, PartState("u", 5), "refuse"),
    ],
)
def test_judge(status: int, headers: dict[str, str], have: int, state: PartState, action: str) -> None:
    assert judge(status, headers, have, state)[0] == action


def test_sizes_that_servers_tell(server: Loopback) -> None:
    """Asked without a byte of the files; a server that tells none, or is not there, is passed over."""
    server.files = {"/a.zip": b"abc", "/b.zip": b"abcd"}
    url = server.url
    sizes = told_sizes(
        [f"{url}/a.zip", f"{url}/none.zip", "hf://a/b/c.zip", "http://127.0.0.1:9/x", f"{url}/b.zip"]
    )
    assert sizes == {f"{url}/a.zip": 3, f"{url}/b.zip": 4}
    server.always = Do(chunked=True)
    assert told_sizes([f"{url}/a.zip"]) == {}


def test_a_server_that_is_not_there_is_asked_for_one_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each question may take the time limit, and a corpus can have a hundred files."""
    asked: list[str] = []

    def ask(_: object, url: str) -> None:
        asked.append(url)
        raise httpx.ConnectTimeout("")

    monkeypatch.setattr(httpx.Client, "head", ask)
    away = [f"http://away.example/{i}" for i in range(3)]
    assert told_sizes([*away, "http://other.example/0"]) == {}
    assert asked == [away[0], "http://other.example/0"]


def test_killed_between_its_name_and_its_end(server: Loopback, tmp_path: Path) -> None:
    """The file is whole; what told of its part, and a half-written note of it, go."""
    (tmp_path / "a.zip").write_bytes(CONTENT)
    for name in ("a.zip.part.json", ".a.zip.part.json.123-0.tmp"):
        (tmp_path / name).write_text("{}")
    assert get(server, tmp_path) == CONTENT
    assert {path.name for path in tmp_path.iterdir()} - {".a.zip.lock"} == {"a.zip"}
    assert server.log == []


def test_a_web_page_is_known_by_its_type_in_any_case(server: Loopback, tmp_path: Path) -> None:
    server.always = Do(headers=(("Content-Type", "Text/HTML; charset=utf-8"),))
    with pytest.raises(DataError, match="a web page came in place of the file"):
        get(server, tmp_path)
