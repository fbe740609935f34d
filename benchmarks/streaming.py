"""What it costs to read a streamed answer of each API, apart from the network.

    .venv/bin/python benchmarks/streaming.py

Prints for 100,000 pieces of text, and for 100,000 pieces of a tool call's arguments, the pieces read in a second of CPU
time, and by how much the memory in use grew beyond the finished message while they came.
"""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeAlias

import httpx

from app.ai.messages import ModelRequest, ModelResponse
from app.ai.models import Model, ModelRequestParameters
from app.ai.models.anthropic import AnthropicModel
from app.ai.models.google import GoogleModel
from app.ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from app.ai.providers.anthropic import AnthropicProvider
from app.ai.providers.google import GoogleProvider
from app.ai.providers.openai import OpenAIProvider

PIECES = 100_000
BLOCK = 16_384
"""Bytes that arrive at once."""

Piece: TypeAlias = dict[str, Any]


def chat(client: httpx.AsyncClient) -> Model:
    return OpenAIChatModel("m", provider=OpenAIProvider(base_url="http://x", http_client=client))


def responses(client: httpx.AsyncClient) -> Model:
    return OpenAIResponsesModel("m", provider=OpenAIProvider(base_url="http://x", http_client=client))


def anthropic(client: httpx.AsyncClient) -> Model:
    return AnthropicModel("m", provider=AnthropicProvider(base_url="http://x", api_key="k", http_client=client))


def google(client: httpx.AsyncClient) -> Model:
    return GoogleModel("m", provider=GoogleProvider(base_url="http://x", api_key="k", http_client=client))


def chat_pieces(count: int, *, call: bool = False) -> list[Piece]:
    def piece(delta: Any, finish: str | None = None) -> Piece:
        head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "system_fingerprint": "f"}
        return {**head, "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]}

    if call:
        first = piece({"tool_calls": [{"index": 0, "id": "t", "function": {"name": "look", "arguments": '{"a": "'}}]})
        grown = piece({"tool_calls": [{"index": 0, "function": {"arguments": "word "}}]})
        last = piece({"tool_calls": [{"index": 0, "function": {"arguments": '"}'}}]})
        return [first, *[grown] * count, last, piece({}, "tool_calls")]
    return [*[piece({"content": "word "})] * count, piece({}, "stop")]


def responses_pieces(count: int, *, call: bool = False) -> list[Piece]:
    place = {"output_index": 0, "item_id": "i", "sequence_number": 7}
    end = {"type": "response.completed", "response": {"id": "r", "status": "completed"}}
    if call:
        item = {"type": "function_call", "call_id": "t", "name": "look", "arguments": ""}
        kind = "response.function_call_arguments.delta"
        first = {"type": "response.output_item.added", "item": item, **place}
        pieces = ['{"a": "', *["word "] * count, '"}']
        return [first, *({"type": kind, "delta": piece, **place} for piece in pieces), end]
    delta = {"type": "response.output_text.delta", "content_index": 0, "delta": "word ", "logprobs": [], **place}
    return [*[delta] * count, end]


def anthropic_pieces(count: int, *, call: bool = False) -> list[Piece]:
    block: Piece = {"type": "text", "text": ""}
    grown: list[Piece] = [{"type": "text_delta", "text": "word "}] * count
    if call:
        block = {"type": "tool_use", "id": "t", "name": "look", "input": {}}
        texts = ['{"a": "', *["word "] * count, '"}']
        grown = [{"type": "input_json_delta", "partial_json": piece} for piece in texts]
    return [
        {"type": "content_block_start", "index": 0, "content_block": block},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in grown),
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}},
        {"type": "message_stop"},
    ]


def google_pieces(count: int, *, call: bool = False) -> list[Piece]:
    del call  # the API gives calls whole
    usage = {"promptTokenCount": 1, "totalTokenCount": 2}
    head = {"usageMetadata": usage, "modelVersion": "m", "responseId": "r"}
    piece = {"candidates": [{"content": {"parts": [{"text": "word "}], "role": "model"}, "index": 0}], **head}
    return [*[piece] * count, {"candidates": [{"finishReason": "STOP"}]}]


APIS: dict[str, tuple[Callable[[httpx.AsyncClient], Model], Callable[..., list[Piece]]]] = {
    "chat": (chat, chat_pieces),
    "responses": (responses, responses_pieces),
    "anthropic": (anthropic, anthropic_pieces),
    "google": (google, google_pieces),
}


def answering(body: AsyncIterator[bytes]) -> httpx.AsyncClient:
    """A client whose server gives this answer."""
    headers = {"content-type": "text/event-stream"}
    answer = httpx.Response(200, headers=headers, content=body)
    return httpx.AsyncClient(transport=httpx.MockTransport(lambda _: answer))


async def blocks(text: bytes, size: int = BLOCK) -> AsyncIterator[bytes]:
    for start in range(0, len(text), size):
        yield text[start : start + size]


async def read(api: str, pieces: list[Piece]) -> tuple[ModelResponse, float, int]:
    """The response, the CPU seconds that reading it took, and the most bytes in use meanwhile, if they are traced."""
    body = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces).encode()
    async with answering(blocks(body)) as client:
        model = APIS[api][0](client)
        began = time.process_time()
        in_use = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        async with model.request_stream([ModelRequest.user_text_prompt("x")], None, ModelRequestParameters()) as stream:
            async for _ in stream:
                pass
        response = stream.get()
        return response, time.process_time() - began, tracemalloc.get_traced_memory()[1] - in_use


def main() -> None:
    print(f"{'API':<10} {'what':<10} {'pieces/s':>9} {'memory, KB':>11} {'message, KB':>12}")
    for api, (_, make) in APIS.items():
        for what, call in (("text", False), ("arguments", True))[: 1 if api == "google" else 2]:
            pieces = make(PIECES, call=call)
            _, seconds, _ = asyncio.run(read(api, pieces))
            tracemalloc.start()
            _, _, peak = asyncio.run(read(api, make(PIECES // 10, call=call)))
            tracemalloc.stop()
            print(f"{api:<10} {what:<10} {PIECES / seconds:>9,.0f} {peak / 1000:>11,.0f} {PIECES / 2000:>12,.0f}")


if __name__ == "__main__":
    main()
