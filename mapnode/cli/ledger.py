"""The ledger of the node that a command means."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mapnode.cli.up import settings_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mapnode.jobs.ledger import Ledger


@contextlib.contextmanager
def open_ledger(config: Path | None) -> Iterator[Ledger]:
    """Open it, and close it afterwards.

    Args:
        config: Settings of the node; None finds them as `mapnode up` does.

    Raises:
        NodeError: If the database goes away meanwhile.
    """
    from sqlalchemy.exc import DatabaseError

    from mapnode.errors import NodeError
    from mapnode.jobs.ledger import Ledger

    place = settings_of(config).place
    ledger = Ledger(place)
    try:
        yield ledger
    except DatabaseError as error:
        raise NodeError(f"{place} cannot be read: {error.orig}") from error
    finally:
        ledger.close()
