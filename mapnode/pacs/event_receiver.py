"""Event receiver: takes the plugin's batches on the node's own HTTP."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from fastapi import APIRouter, HTTPException, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool

from mapnode.pacs.events import TOKEN_HEADER, EventBatch

if TYPE_CHECKING:
    from collections.abc import Callable

EVENT_PATH = "/orthanc/events"
MAXIMUM_BYTES = 4 * 1024 * 1024
"""Far more than the plugin's largest batch."""


def event_router(token: str, on_events: Callable[[EventBatch], None], path: str = EVENT_PATH) -> APIRouter:
    """A route that takes batches of events.

    Args:
        token: The secret that the plugin was started with.
        on_events: Called with each batch, in a thread of its own kind; the plugin waits for it 2 s at most.
        path: Where.

    Returns:
        The router, for the node's application.

    Raises:
        ValueError: If the token is empty, as everybody would have it, or not plain ASCII, as a header is.
    """
    if not token or not token.isascii():
        raise ValueError("the event token must be plain ASCII and not empty")
    router = APIRouter()

    @router.post(path, status_code=204, include_in_schema=False)
    async def receive(request: Request) -> Response:
        # Bytes: compare_digest takes no text beyond ASCII, and a header may carry any.
        shown = request.headers.get(TOKEN_HEADER, "").encode("latin-1", "replace")
        if not hmac.compare_digest(shown, token.encode()):
            raise HTTPException(401, "wrong or missing token")
        body = await _read_limited(request)
        try:
            batch = EventBatch.model_validate_json(body)
        except ValidationError as error:
            raise HTTPException(422, f"no batch of events: {error.error_count()} errors") from error
        await run_in_threadpool(on_events, batch)
        return Response(status_code=204)

    return router


async def _read_limited(request: Request) -> bytes:
    """The body, read no further than the limit.

    Raises:
        HTTPException: If it is larger.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAXIMUM_BYTES:
            raise HTTPException(413, f"more than {MAXIMUM_BYTES} bytes")
    return bytes(body)
