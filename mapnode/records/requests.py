"""Requests: what commands ask of the node; they wait in the database while no node runs."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select

from mapnode.database import upsert
from mapnode.records.tables import ANSWERS, REQUESTS

if TYPE_CHECKING:
    from sqlalchemy import Engine

UNREAD_S = 3600.0
"""An answer that nobody came for is kept for so long."""


class RequestKind(StrEnum):
    """What can be asked for."""

    RERUN = "rerun"
    RETRY = "retry"
    CANCEL = "cancel"
    RELEASE = "release"


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        id: In the order of asking.
        kind: What is asked for.
        argument: Of what: a job, or a study or series with `app`.
    """

    id: int
    kind: RequestKind
    argument: dict[str, Any]


class Requests:
    """The requests that wait."""

    def __init__(self, engine: Engine) -> None:
        """Bind it to a database."""
        self._engine = engine

    def add(self, kind: RequestKind, **argument: Any) -> int:  # noqa: ANN401 - whatever JSON can say
        """Ask for something.

        Returns:
            The request's number.
        """
        row = {"at": time.time(), "kind": kind, "argument": json.dumps(argument)}
        with self._engine.begin() as connection:
            return int(connection.execute(REQUESTS.insert().values(**row).returning(REQUESTS.c.id)).scalar_one())

    def all(self) -> list[Request]:
        """The requests, the oldest first."""
        with self._engine.connect() as connection:
            rows = connection.execute(select(REQUESTS).order_by(REQUESTS.c.id))
            return [Request(row.id, RequestKind(row.kind), json.loads(row.argument)) for row in rows]

    def done(self, request: int, error: str = "") -> None:
        """A request was taken care of.

        Args:
            request: Its number.
            error: Why it was not done, for whoever asked; empty if it was.
        """
        now = time.time()
        with self._engine.begin() as connection:
            connection.execute(delete(REQUESTS).where(REQUESTS.c.id == request))
            connection.execute(delete(ANSWERS).where(ANSWERS.c.at < now - UNREAD_S))
            if error:
                upsert(connection, ANSWERS, {"request_id": request, "at": now, "error": error}, ("request_id",))

    def waits(self, request: int) -> bool:
        """Whether a request was not yet taken care of."""
        with self._engine.connect() as connection:
            query = select(func.count()).select_from(REQUESTS).where(REQUESTS.c.id == request)
            return bool(connection.execute(query).scalar_one())

    def take_error(self, request: int) -> str:
        """Why a request was not done, once; empty if it was."""
        with self._engine.begin() as connection:
            query = delete(ANSWERS).where(ANSWERS.c.request_id == request).returning(ANSWERS.c.error)
            return str(connection.execute(query).scalar_one_or_none() or "")
