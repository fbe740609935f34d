"""Linked files are fetched, but never from where the user could not reach himself."""

from __future__ import annotations

import pytest

from app.ai.downloads import download
from app.ai.exceptions import UserError
from app.ai.messages import BinaryContent, DocumentUrl, ImageUrl, VideoUrl
from app.ai.models import download_item
from tests.ai.models.chat_server import Answer, ChatServer, serve


def link(server: ChatServer, path: str = "/a.pdf") -> DocumentUrl:
    return DocumentUrl(server.url + path, force_download="allow-local")


async def test_a_file_is_fetched_with_its_media_type():
    with serve([Answer(b"bytes", content_type="application/pdf; x=1")]) as server:
        by_suffix = await download(link(server, "/a.txt"))
        by_header = await download(link(server, "/report"))
    assert by_suffix == BinaryContent(b"bytes", media_type="text/plain")
    assert by_header == BinaryContent(b"bytes", media_type="application/pdf")
    assert server.headers[0]["host"] == server.url.removeprefix("http://").removesuffix("/v1")


async def test_redirects_are_followed():
    with serve([Answer(b"", 302, headers={"location": "/v1/b.pdf"}), Answer(b"bytes")]) as server:
        assert (await download(link(server))).data == b"bytes"
    assert server.targets == ["/v1/a.pdf", "/v1/b.pdf"]


async def test_endless_redirects_end():
    answers = [Answer(b"", 302, headers={"location": "/v1/a.pdf"})]
    with serve(answers) as server, pytest.raises(UserError, match="redirects"):
        await download(link(server))


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/a.png", "http://[::1]/a.png", "http://169.254.169.254/a.png", "http://[::ffff:10.0.0.1]/a.png"],
)
async def test_private_addresses_are_refused(url: str):
    with pytest.raises(UserError, match="private address"):
        await download(ImageUrl(url, force_download=True))


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:169.254.169.254]", "100.100.100.200"])
async def test_the_secrets_of_cloud_machines_are_refused_even_where_private_addresses_are_allowed(host: str):
    with pytest.raises(UserError, match="secrets"):
        await download(ImageUrl(f"http://{host}/a.png", force_download="allow-local"))


async def test_a_youtube_link_is_no_file():
    with pytest.raises(UserError, match="YouTube"):
        await download(VideoUrl("https://youtu.be/abc"))


async def test_a_file_comes_in_the_form_that_is_asked_for():
    with serve([Answer(b"text", content_type="text/plain")]) as server:
        file = link(server, "/a.txt")
        assert await download_item(file, "bytes") == {"data": b"text", "data_type": "text/plain"}
        assert await download_item(file, "text", "extension") == {"data": "text", "data_type": "txt"}
        assert (await download_item(file, "base64"))["data"] == "dGV4dA=="
        assert (await download_item(file, "base64_uri"))["data"] == "data:text/plain;base64,dGV4dA=="


@pytest.mark.parametrize(
    ("url", "complaint"),
    [("file:///etc/passwd", "http and https"), ("http://nosuch.invalid/a.png", "unknown host")],
)
async def test_links_that_lead_nowhere_are_refused(url: str, complaint: str):
    with pytest.raises(UserError, match=complaint):
        await download(ImageUrl(url))


async def test_an_error_status_is_no_file():
    with serve([Answer(b"gone", 404)]) as server, pytest.raises(UserError, match="status 404"):
        await download(link(server))


async def test_a_file_that_is_too_large_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("app.ai.downloads.MAX_BYTES", 10)
    with serve([Answer(b"x" * 11)]) as server, pytest.raises(UserError, match="larger than 10 bytes"):
        await download(link(server))


async def test_an_unreachable_server_is_named():
    with pytest.raises(UserError, match=r"Could not download http://127\.0\.0\.1:1/a\.pdf: ConnectError"):
        await download(DocumentUrl("http://127.0.0.1:1/a.pdf", force_download="allow-local"))
