"""A server of the page that follows a run, for browsers on this machine."""

import errno
import logging
import os
import sys
import threading
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from types import TracebackType
from typing import Any

from .recording import Recording, Seen
from .report import live_page, policy

HOST = "127.0.0.1"
SEND_SECONDS = 0.25  # between two messages to a reader, at least
BEAT_SECONDS = 10.0  # between signs of life where there is nothing to say, by which a reader that has gone is noticed
PATIENCE_SECONDS = 10.0  # for a reader that sends or takes nothing
FAREWELL_SECONDS = 1.0  # for readers to take the end of the run
READERS = 32


class LiveServer:
    """While this context is entered, readers on this machine can follow a recording at `address`.

    The run only ever writes to the recording. Each reader has a thread of its own, which reads from there at its own pace: no reader
    holds up the run or another reader. On leaving the context, readers are told how the run ended.

    Args:
        recording: what to show.
        port: to listen at on 127.0.0.1; None takes a free one.

    Raises:
        ValueError: the port is in use, or the system keeps it for others.
    """

    def __init__(self, recording: Recording, port: int | None = None) -> None:
        self._recording = recording
        try:
            self._server = _Server((HOST, port or 0), recording)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            why = "another program uses it" if error.errno == errno.EADDRINUSE else "the system keeps it for others"
            raise ValueError(f"the port of --live must be free, but {port} is not: {why}. Name another, or leave --port out.") from error
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.2,), name="live", daemon=True)

    @property
    def address(self) -> str:
        """The page's address."""
        return f"http://{HOST}:{self._server.server_address[1]}/"

    def __enter__(self) -> "LiveServer":
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if kind is None:
            self._recording.end("finished")
        else:
            self._recording.end("interrupted" if issubclass(kind, KeyboardInterrupt) else "failed", str(error))
        self._server.farewell(FAREWELL_SECONDS)
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingMixIn, TCPServer):
    allow_reuse_address = os.name == "posix"  # elsewhere it would let two programs share a port
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], recording: Recording) -> None:
        self.recording = recording
        self.page = live_page().encode()
        self.readers: set[threading.Thread] = set()
        self.closing = threading.Event()
        self._places = threading.BoundedSemaphore(READERS)
        super().__init__(address, _Handler)
        port = self.server_address[1]
        self.hosts = {f"{host}:{port}" for host in (HOST, "localhost")}

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return self._places.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def farewell(self, seconds: float) -> None:
        """Give the readers of an ended recording so long to take the end."""
        self.closing.set()
        until = time.monotonic() + seconds
        for reader in list(self.readers):
            reader.join(max(until - time.monotonic(), 0))

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), OSError):  # a reader that went away is no news
            logging.getLogger(__name__).warning("the live page failed", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = PATIENCE_SECONDS

    def do_GET(self) -> None:
        """Answer with the page or the events; nothing else is here."""
        if not self._admitted():
            return
        if self.path == "/":
            self._start(HTTPStatus.OK, "text/html; charset=utf-8", len(self.server.page))
            if self.command == "GET":
                self.wfile.write(self.server.page)
        elif self.path == "/events":
            self._start(HTTPStatus.OK, "text/event-stream")
            if self.command == "GET":
                self.server.readers.add(threading.current_thread())
                try:
                    self._send_events()
                finally:
                    self.server.readers.discard(threading.current_thread())
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        """Answer as to GET, without the content."""
        self.do_GET()

    def _admitted(self) -> bool:
        """Whether the request names this server: a page of a name that was made to lead here may not read what is served."""
        if self.headers.get_all("Host", []) in ([host] for host in self.server.hosts):
            return True
        self.send_error(HTTPStatus.FORBIDDEN)
        return False

    def _send_events(self) -> None:
        seen: Seen | None = None
        while seen is None or not seen.ended:
            news = self.server.recording.wait(seen, BEAT_SECONDS)
            if news is None:
                self.wfile.write(b": still here\n\n")
                continue
            text, seen = news
            self.wfile.write(f"data: {text}\n\n".encode())
            if not seen.ended:
                self.server.closing.wait(SEND_SECONDS)

    def _start(self, status: HTTPStatus, kind: str, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if length is not None:
            self.send_header("Content-Length", str(length))
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Security-Policy", f"{policy(live=True)}; frame-ancestors 'none'")
        for name, value in (
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("Referrer-Policy", "no-referrer"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
        ):
            self.send_header(name, value)
        self.end_headers()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Say no in plain text; a method that there is no handler for is not allowed."""
        status = HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code)
        body = f"{status} {status.phrase}\n".encode()
        self.close_connection = True
        self._start(status, "text/plain; charset=utf-8", len(body))
        if getattr(self, "command", None) != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "micrograd-plus"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Say nothing: the terminal shows the training."""
