"""Store: all records of a node behind one engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mapnode.database import open_database
from mapnode.records.decisions import Decisions
from mapnode.records.jobs import Jobs
from mapnode.records.pending import Pending
from mapnode.records.rejections import Rejections
from mapnode.records.requests import Requests
from mapnode.records.switches import Switches
from mapnode.records.tables import METADATA

if TYPE_CHECKING:
    from pathlib import Path

RECORDS_NAME = "records.sqlite"


def records_url(folder: Path) -> str:
    """Where the records of a node without a database server are."""
    return f"sqlite:///{folder / RECORDS_NAME}"


class Records:
    """The tables, by what they are about.

    Attributes:
        pending: Series that grew and were not decided since.
        decisions: What the rules said.
        jobs: Jobs, their states and their history.
        rejections: Instances that somebody took out of use.
        switches: What is switched off.
        requests: What commands ask for.
    """

    def __init__(self, url: str) -> None:
        """Open the database, and make the tables where they are missing.

        Args:
            url: SQLAlchemy's form.
        """
        self._engine = open_database(url)
        METADATA.create_all(self._engine)
        self.pending = Pending(self._engine)
        self.decisions = Decisions(self._engine)
        self.jobs = Jobs(self._engine)
        self.rejections = Rejections(self._engine)
        self.switches = Switches(self._engine)
        self.requests = Requests(self._engine)

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()
