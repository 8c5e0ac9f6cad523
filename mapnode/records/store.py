"""Store: all records of a node behind one engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import DatabaseError

from mapnode.database import create_tables, open_database, shown
from mapnode.errors import NodeError
from mapnode.records.ageing import Ageing
from mapnode.records.decisions import Decisions
from mapnode.records.jobs import Jobs
from mapnode.records.passed_over import PassedOver
from mapnode.records.pending import Pending
from mapnode.records.rejections import Rejections
from mapnode.records.requests import Requests
from mapnode.records.switches import Switches
from mapnode.records.tables import METADATA

if TYPE_CHECKING:
    from sqlalchemy import URL


class Records:
    """The tables, by what they are about.

    Attributes:
        engine: The database.
        pending: Series that grew and were not decided since.
        passed_over: Instances that Orthanc could not tell of.
        decisions: What the rules said.
        jobs: Jobs, their states and their history.
        rejections: Instances that somebody took out of use.
        switches: What is switched off.
        requests: What commands ask for.
        ageing: Forgets details of long ago.
    """

    def __init__(self, url: URL, *, patience_s: float | None = None) -> None:
        """Open the database, and make the tables where they are missing.

        Args:
            url: Where it is (mapnode.database.Place).
            patience_s: How long to wait for a database that is away; None for ever.

        Raises:
            NodeError: If it is damaged, or may not be written.
        """
        try:
            self.engine = open_database(url, patience_s=patience_s)
            create_tables(self.engine, METADATA)
        except DatabaseError as error:
            raise NodeError(f"{shown(url)} cannot be read: {error.orig}") from error
        self.pending = Pending(self.engine)
        self.passed_over = PassedOver(self.engine)
        self.decisions = Decisions(self.engine)
        self.jobs = Jobs(self.engine)
        self.rejections = Rejections(self.engine)
        self.switches = Switches(self.engine)
        self.requests = Requests(self.engine)
        self.ageing = Ageing(self.engine)

    def close(self) -> None:
        """Close the database."""
        self.engine.dispose()
