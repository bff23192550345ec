import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from micrograd_plus.cli import main
from micrograd_plus.training import live
from micrograd_plus.training.live import LiveServer
from micrograd_plus.training.recording import Recording

QUICK = ["--hidden", "16", "--dropout", "0", "--epochs", "2", "--batch-size", "128"]


@pytest.fixture
def served():
    recording = Recording()
    with LiveServer(recording) as server:
        yield recording, server
    assert "live" not in {thread.name for thread in threading.enumerate()}


def port_of(server):
    return int(re.fullmatch(r"http://127\.0\.0\.1:(\d+)/", server.address)[1])


def ask(server, method="GET", path="/", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=10)
    with contextlib.closing(connection):
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read()


def ask_plainly(server, text):
    with socket.create_connection(("127.0.0.1", port_of(server)), timeout=10) as connection:
        connection.sendall(text.encode())
        answer = b""
        while block := connection.recv(4096):
            answer += block
    return answer.decode()


class Reader:
    """Reads the events, one JSON object after the other."""

    def __init__(self, server):
        self.connection = http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=30)
        self.connection.request("GET", "/events")
        self.response = self.connection.getresponse()
        assert self.response.headers["Content-Type"] == "text/event-stream"

    def __iter__(self):
        for line in self.response:
            if line.startswith(b"data: "):
                yield json.loads(line[6:])

    def close(self):
        self.response.close()
        self.connection.close()


# What is served


def test_the_page_needs_nothing_else_and_runs_its_own_script_only(served):
    status, headers, body = ask(served[1])
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    page, policy = body.decode(), headers["Content-Security-Policy"]
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert (
        "unsafe" not in policy and "default-src 'none'" in policy and "connect-src 'self'" in policy and "frame-ancestors 'none'" in policy
    )
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in headers
    assert headers["Server"] == "micrograd-plus"


def test_head_is_get_without_content(served):
    length = len(ask(served[1])[2])
    status, headers, body = ask(served[1], "HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(length), b"")
    status, headers, body = ask(served[1], "HEAD", "/events")
    assert (status, headers["Content-Type"], body) == (200, "text/event-stream", b"")


@pytest.mark.parametrize("path", ["/events/", "/page.js", "/?x", "/../../../etc/passwd", "/%2e%2e/config.json", "/<script>"])
def test_there_are_no_other_paths(served, path):
    status, headers, body = ask(served[1], path=path)
    assert (status, headers["Content-Type"], body) == (404, "text/plain; charset=utf-8", b"404 Not Found\n")
    assert "default-src 'none'" in headers["Content-Security-Policy"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"])
def test_nothing_can_be_done_but_reading(served, method):
    status, headers, body = ask(served[1], method)
    assert (status, headers["Allow"], body) == (405, "GET, HEAD", b"405 Method Not Allowed\n")


def test_only_requests_to_this_machine_by_its_own_name_are_answered(served):
    """Or a page of a name that somebody lets lead to 127.0.0.1 could read what is served."""
    _, server = served
    port = port_of(server)
    for host in (f"localhost:{port}", f"127.0.0.1:{port}"):
        assert ask(server, Host=host)[0] == 200
    for host in ("localhost", f"evil.example:{port}", f"127.0.0.1:{port + 1}", f"127.0.0.1:{port}.evil.example", ""):
        for path in ("/", "/events"):
            assert ask(server, path=path, Host=host)[0] == 403
    assert ask_plainly(server, "GET / HTTP/1.1\r\n\r\n").startswith("HTTP/1.0 403 ")
    twice = f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nHost: evil.example\r\n\r\n"
    assert ask_plainly(server, twice).startswith("HTTP/1.0 403 ")


def test_nonsense_is_refused_and_says_nothing_in_the_terminal(served, capfd):
    assert "400 Bad Request" in ask_plainly(served[1], "nonsense\r\n\r\n")
    assert "414 " in ask_plainly(served[1], f"GET /{70000 * 'x'} HTTP/1.1\r\n\r\n")
    assert capfd.readouterr() == ("", "")


def test_it_listens_on_loopback_only(served):
    assert served[1]._server.socket.getsockname()[0] == "127.0.0.1"


# Readers


def test_every_reader_gets_everything_in_order(served):
    recording, server = served
    recording.begin({"data": "digits"})
    readers = [Reader(server) for _ in range(3)]
    streams = [iter(reader) for reader in readers]
    for stream in streams:
        assert next(stream)["run"] == {"data": "digits"}
    for i in range(50):
        recording.add_point(i)
    recording.end("finished")
    for reader, stream in zip(readers, streams, strict=True):
        events = list(stream)
        assert [x for event in events for (x,) in event["points"]] == list(range(50))
        assert [event["end"] for event in events if event["end"]] == [{"status": "finished", "message": "", "loss": None, "accuracy": None}]
        reader.close()


def test_readers_that_take_nothing_or_go_away_hold_up_nobody(capfd, caplog, monkeypatch):
    assert live._Handler.timeout == live.PATIENCE_SECONDS == 10
    monkeypatch.setattr(live, "SEND_SECONDS", 0.0)
    monkeypatch.setattr(live._Handler, "timeout", 0.5)
    recording = Recording()
    with LiveServer(recording) as server:
        recording.begin({"pad": 5_000_000 * "x"})  # more than what the system takes for a reader that does not read
        idle = [socket.create_connection(("127.0.0.1", port_of(server))) for _ in range(3)]
        for connection in idle[1:]:
            connection.sendall(f"GET /events HTTP/1.1\r\nHost: 127.0.0.1:{port_of(server)}\r\n\r\n".encode())
        reader = Reader(server)
        stream = iter(reader)
        assert next(stream)["run"]
        gone = Reader(server)
        next(iter(gone))
        gone.close()
        longest = 0.0
        for i in range(200):
            started = time.perf_counter()
            recording.add_point(i)
            longest = max(longest, time.perf_counter() - started)
            time.sleep(0.005)
        assert longest < 0.25
        begun = time.monotonic()
        while server._server.readers and time.monotonic() - begun < 10 and len(server._server.readers) > 1:
            recording.add_point(time.monotonic())  # what is written to those that have gone
            time.sleep(0.02)
        assert len(server._server.readers) == 1  # the one that reads
        closing = time.monotonic()
    assert time.monotonic() - closing < live.FAREWELL_SECONDS + 1
    assert list(stream)[-1]["end"]["status"] == "finished"
    reader.close()
    for connection in idle:
        connection.close()
    assert (capfd.readouterr(), caplog.records) == (("", ""), [])


def test_too_many_readers_are_turned_away_and_the_others_stay(served):
    recording, server = served
    for _ in range(live.READERS):  # those that have been answered do not count
        assert ask(server, "HEAD")[0] == 200
    wait_until(lambda: server._server._places._value == live.READERS)
    readers = [Reader(server) for _ in range(live.READERS)]
    streams = [iter(reader) for reader in readers]
    for stream in streams:
        next(stream)
    with pytest.raises((http.client.HTTPException, OSError)):
        Reader(server)
    recording.end("finished")
    for stream in streams:
        assert next(stream)["end"]
    for reader in readers:
        reader.close()


def wait_until(condition):
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_an_error_in_the_run_is_told_to_readers():
    recording = Recording()
    with pytest.raises(FloatingPointError), LiveServer(recording) as server:
        reader = Reader(server)
        stream = iter(reader)
        next(stream)
        raise FloatingPointError("the loss must stay finite")
    assert next(stream)["end"] == {"status": "failed", "message": "the loss must stay finite", "loss": None, "accuracy": None}
    reader.close()


# The command line


def test_a_port_in_use_is_told_before_training(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["train", *QUICK, "--live", "--port", str(port), "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr() == (
        "",
        f"micrograd-plus: error: the port of --live must be free, but {port} is not: another program uses it. "
        "Name another, or leave --port out.\n",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--port", "8000"], "--port is that of the page of --live, which was not given. Add --live, or leave --port out."),
        (["--live", "--port", "0"], "argument --port: must be a whole number from 1 to 65535, got '0'"),
        (["--live", "--port", "65536"], "argument --port: must be a whole number from 1 to 65535, got '65536'"),
        (["--live", "--port", "http"], "argument --port: must be a whole number from 1 to 65535, got 'http'"),
    ],
)
def test_wrong_ports(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    try:
        code = main(["train", *options])
    except SystemExit as stopped:
        code = stopped.code
    out, err = capsys.readouterr()
    assert (code, out) == (2, "") and message in err
    assert list(tmp_path.iterdir()) == []


def test_a_live_run_at_a_port_of_ones_own_gives_the_same_weights(tmp_path, capsys):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert main(["train", *QUICK, "--live", "--port", str(port), "--out", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Watch it at http://127.0.0.1:{port}/ on this machine, while it trains.\n")
    assert f"Report: {tmp_path / 'run' / 'report.html'}\n" in out
    assert main(["train", *QUICK, "--out", str(tmp_path / "unseen")]) == 0
    assert "http" not in capsys.readouterr().out
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (tmp_path / "unseen" / "model.safetensors").read_bytes()


def test_ctrl_c_ends_the_run_and_the_page_says_so(tmp_path):
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        command = [sys.executable, "-m", "micrograd_plus", "train", "--epochs", "100000", "--live", "--out", str(tmp_path / "run")]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())[1])
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/events")
    response = connection.getresponse()
    end = None
    for line in response:
        if line.startswith(b"data: "):
            event = json.loads(line[6:])
            end = event["end"]
            if event["epochs"]:
                process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    connection.close()
    assert process.returncode == 130
    assert err.startswith("micrograd-plus: error: interrupted. ") and err.count("\n") == 1
    assert end == {"status": "interrupted", "message": "", "loss": None, "accuracy": None}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
