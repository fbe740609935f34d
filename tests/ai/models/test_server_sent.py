"""Server-sent events, however they are written and cut."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from app.ai.models.server_sent import event_data


async def pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        yield body[start : start + size]


async def data_of(body: bytes, size: int = 4096) -> list[str]:
    return [data async for data in event_data(pieces(body, size))]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 4096])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
async def test_lines_end_in_any_way_and_are_cut_anywhere(end: str, size: int):
    lines = [": a comment", "event: x", "id: 1", 'data: {"a": 1}', "", "", "data:two", "data: lines", "", ": ping", ""]
    assert await data_of((end.join(lines) + end).encode(), size) == ['{"a": 1}', "two\nlines"]


@pytest.mark.parametrize("size", [1, 4096])
async def test_only_the_standards_ends_of_lines_count(size: int):
    body = 'data: "a\u2028b\u0085c\x0bd"\n\ndata: "ä€😀"\n\n'
    assert await data_of(body.encode(), size) == ['"a\u2028b\u0085c\x0bd"', '"ä€😀"']


async def test_a_byte_order_mark_at_the_start_is_no_data():
    assert await data_of(b"\xef\xbb\xbfdata: 1\n\n", 2) == ["1"]


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b'data: {"a": 1}', ['{"a": 1}']),
        (b"data: [DONE]\n", ["[DONE]"]),
        (b'data: 1\n\ndata: {"a', ["1"]),
        (b"", []),
        (b"\n\n\n", []),
    ],
)
async def test_a_last_event_without_its_blank_line_counts_if_it_is_whole(body: bytes, data: list[str]):
    assert await data_of(body) == data
