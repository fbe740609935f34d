"""Reading server-sent events, of which the APIs use nothing but the data."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing


async def event_data(pieces: AsyncIterator[bytes]) -> AsyncGenerator[str]:
    """The data of each event, however the bytes are cut.

    A last event that lacks its blank line counts if its data is whole, since some servers end their streams so.
    """
    data: list[bytes] = []
    is_first = True
    async with aclosing(_lines(pieces)) as lines:
        async for line in lines:
            if is_first:
                line, is_first = line.removeprefix(b"\xef\xbb\xbf"), False
            if line.startswith(b"data:"):
                data.append(line[6:] if line[5:6] == b" " else line[5:])
            elif not line and data:
                yield b"\n".join(data).decode(errors="replace")
                data = []
    if data and _is_whole(last := b"\n".join(data).decode(errors="replace")):
        yield last


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Lines as the standard has them: they end with LF, CRLF or CR, and with nothing else that Unicode knows."""
    rest: list[bytes] = []
    after_cr = False
    async for piece in pieces:
        if after_cr and piece.startswith(b"\n"):
            piece = piece[1:]
        after_cr = piece.endswith(b"\r") or (after_cr and not piece)
        if b"\r" in piece:
            piece = piece.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, last = piece.split(b"\n")
        for line in lines:
            if rest:
                line, rest = b"".join([*rest, line]), []
            yield line
        if last:
            rest.append(last)
    if rest:
        yield b"".join(rest)


def _is_whole(data: str) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return data.strip() == "[DONE]"
    return True
