"""A file server on loopback that misbehaves on demand, and that can pass for the Hugging Face Hub."""

import hashlib
import json
import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Do:
    """How to answer one request; the default is as a good server does."""

    cut: int | None = None  # close after so many bytes of the body
    stall: int | None = None  # say nothing more after so many bytes
    status: int | None = None  # answer with this, no body
    headers: tuple[tuple[str, str], ...] = ()  # added to the answer
    ignore_range: bool = False
    content_range: str | None = None  # lie
    drop: tuple[str, ...] = ()  # headers left out
    chunked: bool = False
    extra: bytes = b""  # sent behind the file (with `chunked`)
    slow_s: float = 0.0  # wait between blocks of the body


@dataclass
class Loopback:
    """What is served (path -> bytes) and the answers that the next requests get, in order."""

    files: dict[str, bytes] = field(default_factory=dict)
    script: deque[Do] = field(default_factory=deque)
    always: Do = field(default_factory=Do)
    log: list[tuple[str, str | None, int]] = field(default_factory=list)  # (path, Range, status)
    headers: list[dict[str, str]] = field(default_factory=list)  # of the requests for files
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)  # datasets of the hub
    models: dict[str, dict[str, bytes]] = field(default_factory=dict)  # models of the hub
    etag: bool = True
    url: str = ""
    released: threading.Event = field(default_factory=threading.Event)

    def ranges(self, path: str) -> list[str | None]:
        return [asked for where, asked, _ in self.log if where == path]


REVISION = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def serve() -> Iterator[Loopback]:
    world = Loopback()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            if match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
                self._of_model(path, world.models.get(match[1]), match[3])
                return
            if path.startswith("/api/datasets/"):
                self._info(path.removeprefix("/api/datasets/"))
                return
            match = re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
            content = world.repos.get(match[1], {}).get(match[3]) if match else world.files.get(path)
            do = world.script.popleft() if world.script else world.always
            self._file(path, content, do)

        def _of_model(self, path: str, files: dict[str, bytes] | None, name: str) -> None:
            content = (files or {}).get(name)
            headers = {"X-Repo-Commit": REVISION} if files is not None else {}
            if content is None:
                headers["X-Error-Code"] = "RepoNotFound" if files is None else "EntryNotFound"
            self._file(path, content, Do(headers=tuple(headers.items())))

        def _file(self, path: str, content: bytes | None, do: Do) -> None:
            status = 200 if content is not None else 404
            content = content or b""
            etag = f'"{hashlib.md5(content).hexdigest()}"'
            headers = {"ETag": etag, "Accept-Ranges": "bytes"} if world.etag else {}
            asked = self.headers.get("Range")
            body = content
            if_range = self.headers.get("If-Range")
            if asked and status == 200 and not do.ignore_range and (if_range in (None, etag)):
                match = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
                assert match, asked
                first, last = int(match[1]), int(match[2] or len(content) - 1)
                last = min(last, len(content) - 1)
                if first >= len(content):
                    status, body = 416, b""
                    headers["Content-Range"] = f"bytes */{len(content)}"
                else:
                    status, body = 206, content[first : last + 1]
                    headers["Content-Range"] = do.content_range or f"bytes {first}-{last}/{len(content)}"
            if do.status is not None:
                status, body = do.status, b""
            world.log.append((path, asked, status))
            world.headers.append({name.lower(): value for name, value in self.headers.items()})
            body += do.extra
            headers |= {"Transfer-Encoding": "chunked"} if do.chunked else {"Content-Length": str(len(body))}
            headers |= dict(do.headers)
            self.send_response(status)
            for name, value in headers.items():
                if name not in do.drop:
                    self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self._body(body, do)

        def _body(self, body: bytes, do: Do) -> None:
            end = min(x for x in (len(body), do.cut, do.stall) if x is not None)
            try:
                for start in range(0, end, 65536):
                    block = body[start : min(start + 65536, end)]
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if do.chunked else block)
                    if do.slow_s:
                        time.sleep(do.slow_s)
                if do.stall is not None:
                    self.wfile.flush()
                    world.released.wait(20)
                if end < len(body) or do.stall is not None:
                    self.close_connection = True
                elif do.chunked:
                    self.wfile.write(b"0\r\n\r\n")
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def _info(self, repo: str) -> None:
            files = world.repos.get(repo)
            if files is None:
                self._json({"error": "Repository not found"}, 404)
                return
            siblings: list[dict[str, Any]] = []
            for name, content in files.items():
                entry: dict[str, Any] = {"rfilename": name, "size": len(content)}
                if not name.endswith(".md"):
                    digest = hashlib.sha256(content).hexdigest()
                    entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
                siblings.append(entry)
            self._json({"id": repo, "sha": REVISION, "siblings": siblings, "tags": [], "private": False}, 200)

        def _json(self, value: object, status: int) -> None:
            body = json.dumps(value).encode()
            world.log.append((self.path, None, status))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A client that hangs up is what many tests are about."""

    server = Server(("127.0.0.1", 0), Handler)
    world.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield world
    finally:
        world.released.set()
        server.shutdown()
        server.server_close()
        thread.join()
