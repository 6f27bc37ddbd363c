"""Fetching data: from a server on this machine, since nothing else can be reached in a test."""

import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lib.base import files
from lib.networks import fetch, imagenet


@pytest.fixture
def server(tmp_path):
    """An archive at /a.zip; `server.asked` lists the ranges asked for, `server.stop_after` cuts answers short."""
    with zipfile.ZipFile(tmp_path / "source.zip", "w") as archive:
        archive.writestr("picture.jpg", bytes(range(256)) * 40)
    content = (tmp_path / "source.zip").read_bytes()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            made.asked.append(self.headers.get("Range"))
            if self.path == "/nothing.zip":
                return self.send_error(404)
            body = made.content if self.path == "/a.zip" else b"<html>not an archive</html>"
            start = 0
            if (wanted := self.headers.get("Range")) and self.headers.get("If-Range") == made.tag:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206 if start else 200)
            self.send_header("ETag", made.tag)
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            self.wfile.write(body[start:][: made.stop_after])
            return None

        def log_message(self, *_):
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.content, made.asked, made.stop_after, made.tag = content, [], None, '"one"'
    made.url = f"http://127.0.0.1:{made.server_port}/"
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()


def test_an_archive_is_fetched_and_its_digest_kept(server, tmp_path):
    path = fetch.fetch(server.url + "a.zip", tmp_path / "photos" / "b.zip")
    assert path.read_bytes() == server.content
    assert (tmp_path / "photos" / "b.zip.sha256").read_text() == files.sha256(server.content)
    assert sorted(one.name for one in path.parent.iterdir()) == ["b.zip", "b.zip.sha256"]


def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path):
    server.stop_after = 4_000
    with pytest.raises(ConnectionError, match="4,000 .*kept"):
        fetch.fetch(server.url + "a.zip", tmp_path / "b.zip")
    assert not (tmp_path / "b.zip").exists() and (tmp_path / "b.zip.part").stat().st_size == 4_000
    server.stop_after = None
    assert fetch.fetch(server.url + "a.zip", tmp_path / "b.zip").read_bytes() == server.content
    assert server.asked == [None, "bytes=4000-"]


def test_another_file_at_the_address_is_fetched_from_its_start(server, tmp_path):
    server.stop_after = 4_000
    with pytest.raises(ConnectionError):
        fetch.fetch(server.url + "a.zip", tmp_path / "b.zip")
    server.stop_after, server.tag = None, '"two"'
    assert fetch.fetch(server.url + "a.zip", tmp_path / "b.zip").read_bytes() == server.content


def test_what_is_no_archive_is_not_kept(server, tmp_path):
    with pytest.raises(ValueError, match="b.zip from .* found no archive"):
        fetch.fetch(server.url + "page.zip", tmp_path / "b.zip")
    assert list(tmp_path.glob("b.zip*")) == []
    with pytest.raises(ConnectionError, match="b.zip cannot be fetched from .*404"):
        fetch.fetch(server.url + "nothing.zip", tmp_path / "b.zip")


def test_a_member_that_was_changed_is_found(server, tmp_path):
    server.content = server.content.replace(bytes(range(100, 120)), bytes(20), 1)
    with pytest.raises(ValueError, match=r"its member picture.jpg does not match|found no archive"):
        fetch.fetch(server.url + "a.zip", tmp_path / "b.zip")


def test_every_file_gets_a_line(server, tmp_path):
    told = dict(
        fetch.lines(tmp_path, {"photos/a.zip": server.url + "a.zip", "photos/c.zip": server.url + "nothing.zip"})
    )
    said = {line.split(":")[0]: whole for line, whole in told.items()}
    nets = {f"nets/{name}": False for name in imagenet.SUPPLIED}
    assert said == {"photos/a.zip": True, "photos/c.zip": False} | nets
    assert any("bvlc_googlenet.safetensors: cannot be fetched" in line for line in told)
    again = dict(fetch.lines(tmp_path, {"photos/a.zip": server.url + "a.zip"}))
    assert again["photos/a.zip: there, whole"] and len(server.asked) == 2  # nothing was asked for again
    (tmp_path / "photos" / "a.zip").write_bytes(b"changed")
    (line, whole), *_ = fetch.lines(tmp_path, {"photos/a.zip": server.url + "a.zip"})
    assert not whole and "its digest is" in line


def test_what_a_profile_lacks_is_said_at_once(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COMPANION_DATA", str(tmp_path))
    monkeypatch.setenv("COMPANION_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.setattr(fetch.importlib.util, "find_spec", lambda name: None)
    assert fetch.main(["--check", "photos"]) == 1
    told = capsys.readouterr().err
    for part in ("the photos profile cannot run yet", "nips2017-photos.zip is neither in", "`make data` fetches it"):
        assert part in told
    assert told.count("\n") == 1 + 2 + len(imagenet.SUPPLIED) + 2 and "EfficientNet-Lite2 is not installed" in told
    assert len(fetch.lacking("paper")) == 2 and fetch.lacking("embedded") == []
    monkeypatch.setattr(fetch.importlib.util, "find_spec", lambda name: object())
    for name in ("photos/nips2017-photos.zip", "tiny-imagenet-50.zip", *(f"nets/{name}" for name in imagenet.SUPPLIED)):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert fetch.main(["--check", "photos"]) == 0
