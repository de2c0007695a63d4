"""Where the data comes from, and what becomes of damaged files, dead mirrors and no network.

A local HTTP server plays the mirrors. Most tests make do with a stand-in table whose checksum is put in
the place of the real one, so they run where the real data is absent.
"""

import hashlib
import io
import logging
import os
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pooch
import pytest
import torch

from rmsprop.book import airfoil
from rmsprop.book.airfoil import FILE, SHA256, Airfoil, load_airfoil
from rmsprop.errors import UserError

Answer = Callable[[BaseHTTPRequestHandler], None]


class Mirrors(ThreadingHTTPServer):
    """A loopback server; `answers` maps a path to what is done with a request for it."""

    daemon_threads = True

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.requests: list[str] = []
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    def serve(self, name: str, answer: Answer) -> tuple[str, str]:
        """A mirror, as `load_airfoil` takes it."""
        self.answers[f"/{name}"] = answer
        return name, f"http://127.0.0.1:{self.server_port}/{name}"

    def handle_error(self, request, client_address) -> None:
        """A client that has hung up is part of the tests."""


class Handler(BaseHTTPRequestHandler):
    server: Mirrors

    def do_GET(self) -> None:
        self.server.requests.append(self.path)
        self.server.answers[self.path](self)

    def log_message(self, *_) -> None:
        pass


def sends(body: bytes, length: int | None = None) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) if length is None else length))
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def is_missing(handler: BaseHTTPRequestHandler) -> None:
    handler.send_error(404)


def never_answers(handler: Handler) -> None:
    handler.server.closing.wait()


def drips(handler: Handler) -> None:
    sends(b"", length=60_000)(handler)
    while not handler.server.closing.wait(0.05):
        handler.wfile.write(b"1")


def sends_without_end(handler: Handler) -> None:
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.closing.is_set():
        handler.wfile.write(b"1\n" * 50_000)


def zipped(body: bytes, name: str = FILE) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, body)
    return file.getvalue()


@pytest.fixture
def server() -> Iterator[Mirrors]:
    with Mirrors() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.closing.set()
        server.shutdown()


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch, tmp_path):
    for name in ("RMSPROP_DATA", "http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("RMSPROP_CACHE", str(tmp_path / "user"))


@pytest.fixture
def table(monkeypatch) -> bytes:
    """A stand-in of the real file's shape, and its checksum in the place of the real one's."""
    rows = np.random.default_rng(0).normal(size=(1503, 6))
    table = "".join("\t".join(f"{x:.6g}" for x in row) + "\n" for row in rows).encode()
    monkeypatch.setattr(airfoil, "SHA256", hashlib.sha256(table).hexdigest())
    return table


@pytest.fixture
def cache(tmp_path) -> Path:
    return tmp_path / "cache"


def closed_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/{FILE}"


def assert_is_the_table(got: Airfoil, table: bytes) -> None:
    rows = np.loadtxt(io.BytesIO(table))
    rows = ((rows - rows.mean(axis=0)) / rows.std(axis=0))[:1500]
    assert got.source == "real"
    assert got.sha256 == hashlib.sha256(table).hexdigest()
    np.testing.assert_array_equal(got.features.numpy(), rows[:, :5])
    np.testing.assert_array_equal(got.labels.numpy(), rows[:, 5])


def assert_is_one_line(error: pytest.ExceptionInfo[UserError]) -> None:
    assert len(str(error.value).splitlines()) == 1


# The rows


def test_the_real_file_is_standardised_over_its_1503_rows_and_cut_to_1500(real_data):
    got = load_airfoil(real_data)
    assert (got.features.shape, got.labels.shape) == ((1500, 5), (1500,))
    assert (got.features.dtype, got.labels.dtype) == (torch.float64, torch.float64)
    assert_is_the_table(got, real_data.read_bytes().replace(b"\r\n", b"\n"))
    assert got.sha256 == SHA256


def test_asking_for_the_surrogate_looks_nowhere_else(server, cache, table):
    mirror = server.serve("good", sends(table))
    got = load_airfoil("surrogate", mirrors=[mirror], cache=cache)
    assert (got.source, got.sha256) == ("surrogate", None)
    assert (got.features.shape, got.labels.shape) == ((1500, 5), (1500,))
    assert server.requests == []


def test_rows_are_moved_to_a_device_and_dtype_together():
    features, labels = load_airfoil("surrogate").to("meta", torch.float32)
    assert (features.dtype, labels.dtype) == (torch.float32, torch.float32)
    assert (features.device.type, labels.device.type) == ("meta", "meta")


def test_rows_are_made_on_the_cpu_whatever_torch_s_default_device_is():
    with torch.device("meta"):
        got = load_airfoil("surrogate")
    assert (got.features.device.type, got.labels.device.type) == ("cpu", "cpu")


# Mirrors


@pytest.mark.parametrize(
    "pack", [bytes, lambda t: t.replace(b"\n", b"\r\n"), zipped], ids=["LF", "CRLF", "zip"]
)
def test_a_mirror_may_serve_lf_crlf_or_a_zip(server, cache, table, pack):
    got = load_airfoil("real", mirrors=[server.serve("good", sends(pack(table)))], cache=cache)
    assert_is_the_table(got, table)
    assert got.detail == "downloaded from good"
    assert (cache / FILE).read_bytes() == table


BAD_ANSWERS = {
    "wrong hash": (sends(b"1\t2\t3\n4\t5\t6\n"), "(2 rows x 3 columns)"),
    "a page": (sends(b"<html>\nLog in first\n"), "(line 1 is not numeric: '<html>')"),
    "404": (is_missing, "bad: HTTP 404"),
    "cut short": (sends(b"1\t2\t3\n", length=60_000), "bad: "),
    "cut short zip": (sends(zipped(b"1\t2\t3\n")[:-30]), "a zip without a whole airfoil_self_noise.dat"),
    "another zip": (sends(zipped(b"1\t2\t3\n", "other.dat")), "no item named 'airfoil_self_noise.dat'"),
    "a zip of too much": (sends(zipped(b"0\n" * 10**6)), "more than 1,048,576 bytes"),
    "an endless file": (sends_without_end, "more than 1,048,576 bytes"),
    "no answer": (never_answers, "bad: no answer in time"),
    "a drip": (drips, "bad: no answer in time"),
}


@pytest.mark.slow
@pytest.mark.parametrize("bad", BAD_ANSWERS)
def test_when_a_mirror_fails_the_next_one_serves(server, cache, table, bad):
    mirrors = [server.serve("bad", BAD_ANSWERS[bad][0]), server.serve("good", sends(table))]
    got = load_airfoil("auto", mirrors=mirrors, cache=cache, timeout=3)
    assert_is_the_table(got, table)
    assert got.detail == "downloaded from good"
    assert server.requests == ["/bad", "/good"]


@pytest.mark.slow
@pytest.mark.parametrize("bad", BAD_ANSWERS)
def test_when_every_mirror_fails_the_surrogate_says_why(server, cache, table, bad):
    answer, reason = BAD_ANSWERS[bad]
    got = load_airfoil("auto", mirrors=[server.serve("bad", answer)], cache=cache, timeout=1)
    assert got.source == "surrogate"
    assert got.detail.startswith("moment-matched surrogate: bad: ")
    assert reason in got.detail
    assert not (cache / FILE).exists()


def test_offline_the_surrogate_names_each_mirror_and_no_path(cache):
    mirrors = [("first", closed_port()), ("second", closed_port())]
    got = load_airfoil("auto", mirrors=mirrors, cache=cache)
    assert got.detail == "moment-matched surrogate: first: ConnectionError; second: ConnectionError"


def test_a_name_lookup_that_hangs_is_given_up(cache, monkeypatch):
    done = threading.Event()

    def hangs(*_):
        done.wait()
        raise OSError("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    got = load_airfoil("auto", mirrors=[("far", "http://mirror.invalid/")], cache=cache, timeout=0.2)
    done.set()
    assert got.detail == "moment-matched surrogate: far: no answer in time"


def test_real_refuses_the_surrogate_and_says_how_to_give_the_file(cache):
    with pytest.raises(
        UserError, match=r"first: ConnectionError; second: ConnectionError.*RMSPROP_DATA"
    ) as error:
        load_airfoil("real", mirrors=[("first", closed_port()), ("second", closed_port())], cache=cache)
    assert_is_one_line(error)


def test_a_proxy_of_the_environment_is_used(server, cache, table, monkeypatch):
    url = f"http://mirror.invalid/{FILE}"
    server.answers[url] = sends(table)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
    assert_is_the_table(load_airfoil("real", mirrors=[("far", url)], cache=cache), table)


def test_a_download_is_silent_and_leaves_pooch_s_logger_alone(server, cache, table, capfd):
    level, handlers = pooch.get_logger().level, list(pooch.get_logger().handlers)
    load_airfoil("real", mirrors=[server.serve("good", sends(table))], cache=cache)
    assert (pooch.get_logger().level, pooch.get_logger().handlers) == (level, handlers)
    assert logging.getLogger().manager.disable == 0
    assert capfd.readouterr() == ("", "")


# The cache


def test_a_cached_file_makes_no_request(server, cache, table):
    mirrors = [server.serve("good", sends(table))]
    load_airfoil("auto", mirrors=mirrors, cache=cache)
    got = load_airfoil("real", mirrors=mirrors, cache=cache)
    assert_is_the_table(got, table)
    assert got.detail == "user cache"
    assert server.requests == ["/good"]


def test_the_default_cache_is_the_user_s(tmp_path, table):
    cached = tmp_path / "user" / FILE
    cached.parent.mkdir(parents=True)
    cached.write_bytes(table)
    assert load_airfoil("real", mirrors=[]).detail == "user cache"


def test_a_damaged_cache_is_reported_and_downloaded_anew(server, cache, table):
    cache.mkdir()
    (cache / FILE).write_bytes(table[:-100])
    with pytest.warns(
        UserWarning, match=rf"{FILE} is not used, not the airfoil data: found.*downloading it anew"
    ):
        got = load_airfoil("auto", mirrors=[server.serve("good", sends(table))], cache=cache)
    assert_is_the_table(got, table)
    assert (cache / FILE).read_bytes() == table


@pytest.mark.filterwarnings("ignore:.*is not used")
def test_a_damaged_cache_without_network_is_the_surrogate_or_an_error(cache, table):
    cache.mkdir()
    (cache / FILE).write_bytes(table[:-100])
    mirrors = [("first", closed_port())]
    got = load_airfoil("auto", mirrors=mirrors, cache=cache)
    assert got.source == "surrogate"
    assert "user cache: not the airfoil data" in got.detail
    assert str(cache) not in got.detail
    with pytest.raises(UserError, match=r"user cache: not the airfoil data.*first: ConnectionError"):
        load_airfoil("real", mirrors=mirrors, cache=cache)
    assert (cache / FILE).read_bytes() == table[:-100]


def test_a_cache_that_cannot_be_written_costs_a_warning(server, tmp_path, table):
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    mirrors = [server.serve("good", sends(table))]
    with pytest.warns(UserWarning, match="is not used"), pytest.warns(UserWarning, match="is not written"):
        got = load_airfoil("real", mirrors=mirrors, cache=in_the_way / "cache")
    assert_is_the_table(got, table)


def test_a_full_disk_leaves_the_cache_empty(server, cache, table, monkeypatch):
    def full(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[:1000])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.warns(UserWarning, match="is not written: No space left on device"):
        got = load_airfoil("real", mirrors=[server.serve("good", sends(table))], cache=cache)
    assert_is_the_table(got, table)
    assert list(cache.iterdir()) == []


@pytest.mark.slow
def test_two_processes_that_load_at_once_leave_one_good_file(server, cache, table):
    both = threading.Barrier(2, timeout=60)

    def sends_to_both(handler: BaseHTTPRequestHandler) -> None:
        both.wait()
        sends(table)(handler)

    code = """if True:
        import pathlib, sys
        from rmsprop.book import airfoil
        airfoil.SHA256, url, cache = sys.argv[1:]
        got = airfoil.load_airfoil("real", mirrors=[("m", url)], cache=pathlib.Path(cache), timeout=60)
        print(got.detail)
    """
    url = server.serve("good", sends_to_both)[1]
    command = [sys.executable, "-c", code, airfoil.SHA256, url, str(cache)]
    loads = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [load.communicate()[0] for load in loads] == ["downloaded from m\n"] * 2
    assert [path.name for path in cache.iterdir()] == [FILE]
    assert (cache / FILE).read_bytes() == table


# A file that is given


@pytest.mark.parametrize("data", ["auto", "real"])
def test_rmsprop_data_comes_before_cache_and_mirrors(server, cache, tmp_path, table, monkeypatch, data):
    (tmp_path / "given.dat").write_bytes(table)
    monkeypatch.setenv("RMSPROP_DATA", str(tmp_path / "given.dat"))
    got = load_airfoil(data, mirrors=[server.serve("good", sends(table))], cache=cache)
    assert_is_the_table(got, table)
    assert got.detail == "file given by RMSPROP_DATA"
    assert server.requests == []


def test_an_empty_rmsprop_data_counts_as_unset(cache, monkeypatch):
    monkeypatch.setenv("RMSPROP_DATA", "")
    assert load_airfoil("auto", mirrors=[], cache=cache).source == "surrogate"


@pytest.mark.parametrize("kind", [str, Path])
def test_a_path_comes_before_rmsprop_data(tmp_path, table, monkeypatch, kind):
    (tmp_path / "given.dat").write_bytes(zipped(table.replace(b"\n", b"\r\n")))
    monkeypatch.setenv("RMSPROP_DATA", str(tmp_path / "absent"))
    got = load_airfoil(kind(tmp_path / "given.dat"))
    assert_is_the_table(got, table)
    assert got.detail == "given file"


DAMAGE = {
    "an altered digit": (
        lambda t: t[:-2] + (b"7" if t[-2:-1] != b"7" else b"8") + b"\n",
        "1503 rows x 6 columns",
    ),
    "a lost row": (lambda t: t[: t.rindex(b"\n", 0, -1) + 1], "1502 rows x 6 columns"),
    "a row cut short": (lambda t: t[: t.rindex(b"\t") + 1], "1503 rows x 5 to 6 columns"),
    "text": (lambda _: b"1 2\nfrequency angle\n", "line 2 is not numeric: 'frequency angle'"),
    "binary": (lambda _: b"\x00\xff\x1b" * 99, "line 1 is not numeric: "),
    "nothing": (lambda _: b"", "empty"),
}


@pytest.mark.parametrize("by", ["path", "RMSPROP_DATA"])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_refused_and_nothing_else_is_tried(
    server, cache, tmp_path, table, monkeypatch, damage, by
):
    damaged, shape = DAMAGE[damage][0](table), DAMAGE[damage][1]
    path = tmp_path / "given.dat"
    path.write_bytes(damaged)
    if by == "RMSPROP_DATA":
        monkeypatch.setenv("RMSPROP_DATA", str(path))
    with pytest.raises(UserError) as error:
        load_airfoil(
            path if by == "path" else "auto", mirrors=[server.serve("good", sends(table))], cache=cache
        )
    assert_is_one_line(error)
    for part in (str(path), airfoil.SHA256, hashlib.sha256(damaged).hexdigest(), f"({shape}"):
        assert part in str(error.value)
    assert server.requests == []


def test_a_file_that_is_too_long_is_refused(tmp_path):
    (tmp_path / "long.dat").write_bytes(b"0\n" * 10**6)
    with pytest.raises(UserError, match="refused, not the airfoil data: more than 1,048,576 bytes; expected"):
        load_airfoil(tmp_path / "long.dat")


@pytest.mark.parametrize(
    ("name", "reason"), [("", "not a regular file"), ("absent.dat", "No such file or directory")]
)
def test_a_path_without_a_readable_file_is_refused(tmp_path, name, reason):
    with pytest.raises(UserError, match=rf"is refused, {reason}; expected {FILE}, SHA-256") as error:
        load_airfoil(tmp_path / name)
    assert_is_one_line(error)
    assert str(tmp_path / name) in str(error.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
@pytest.mark.parametrize("kind", ["FIFO", "device"])
@pytest.mark.parametrize("by", ["path", "cache"])
def test_only_regular_files_are_opened(tmp_path, server, table, kind, by):
    """A FIFO without a writer would wait for one, and a device may never end."""
    path = tmp_path / FILE
    if kind == "FIFO":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero")
    if by == "path":
        with pytest.raises(UserError, match="is refused, not a regular file; expected"):
            load_airfoil(path)
    else:
        with pytest.warns(UserWarning, match="is not used, not a regular file"):
            rows = load_airfoil(mirrors=[server.serve("good", sends(table))], cache=tmp_path)
        assert rows.source == "real"


@pytest.mark.parametrize("missing", ["pooch", "requests"])
def test_without_the_packages_that_download_the_reason_says_what_to_install(monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    stood_in = load_airfoil()
    assert stood_in.source == "surrogate"
    assert f"needs {missing}: python -m pip install 'rmsprop-bench[suite]'" in stood_in.detail
    with pytest.raises(UserError, match="rmsprop-bench"):
        load_airfoil("real")
