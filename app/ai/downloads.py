"""Fetching a file that a message links to, for providers that want its bytes."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import IPv4Address, IPv6Address, ip_address

import httpx

from app.ai.exceptions import UserError
from app.ai.messages import BinaryContent, FileUrl, VideoUrl

MAX_BYTES = 50 * 1024 * 1024
_MAX_REDIRECTS = 5
_TIMEOUT = httpx.Timeout(30)
_METADATA_ADDRESSES = frozenset(map(ip_address, ("169.254.169.254", "fd00:ec2::254", "100.100.100.200")))


async def download(file: FileUrl) -> BinaryContent:
    """Fetch a linked file.

    Links often come from users, so private addresses are refused unless `force_download` is "allow-local", and those
    where clouds tell their machines secrets in any case. UserError when the link cannot be fetched or the file is
    over `MAX_BYTES`.
    """
    if isinstance(file, VideoUrl) and file.is_youtube:
        raise UserError(f"A YouTube link leads to a page, not to a video that can be downloaded: {file.url}")
    async with httpx.AsyncClient(timeout=_TIMEOUT, trust_env=False) as client:
        try:
            response = await _follow(client, file)
        except httpx.HTTPError as err:
            raise UserError(f"Could not download {file.url}: {type(err).__name__}") from err
    try:
        media_type = file.media_type
    except ValueError:
        media_type = response.headers.get("content-type", "application/octet-stream").partition(";")[0]
    return BinaryContent(response.content, media_type=media_type, identifier=file.identifier)


async def _follow(client: httpx.AsyncClient, file: FileUrl) -> httpx.Response:
    url = httpx.URL(file.url)
    for _ in range(_MAX_REDIRECTS + 1):
        response = await _fetch(client, url, allow_local=file.force_download == "allow-local")
        if not response.has_redirect_location:
            if response.is_success:
                return response
            raise UserError(f"Could not download {file.url}: status {response.status_code}")
        url = url.join(response.headers["location"])
    raise UserError(f"Could not download {file.url}: more than {_MAX_REDIRECTS} redirects")


async def _fetch(client: httpx.AsyncClient, url: httpx.URL, *, allow_local: bool) -> httpx.Response:
    if url.scheme not in ("http", "https"):
        raise UserError(f"Only http and https links can be downloaded, not {url}.")
    address = await _resolve(url, allow_local=allow_local)
    # The checked address itself is connected to: the name could resolve to another one by then.
    request = client.build_request("GET", url.copy_with(host=address), headers={"Host": url.netloc.decode()})
    request.extensions["sni_hostname"] = url.host
    response = await client.send(request, stream=True)
    try:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_BYTES:
                raise UserError(f"The file at {url} is larger than {MAX_BYTES} bytes.")
    finally:
        await response.aclose()
    headers = {key: value for key, value in response.headers.items() if key in ("content-type", "location")}
    return httpx.Response(response.status_code, headers=headers, content=bytes(body))


async def _resolve(url: httpx.URL, *, allow_local: bool) -> str:
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as err:
        raise UserError(f"Could not download {url}: unknown host {url.host}") from err
    addresses = [str(entry[4][0]) for entry in found]
    numbers = [_number(address) for address in addresses]
    if not allow_local and not all(number.is_global for number in numbers):
        raise UserError(f'{url} is a private address; set force_download="allow-local" to allow it.')
    if not _METADATA_ADDRESSES.isdisjoint(numbers):
        raise UserError(f"{url} is where a cloud keeps the secrets of its machines; nothing is downloaded from there.")
    return addresses[0]


def _number(address: str) -> IPv4Address | IPv6Address:
    number = ip_address(address.partition("%")[0])
    return (number.version == 6 and number.ipv4_mapped) or number
