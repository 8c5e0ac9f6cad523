"""Monitor: what happens in a run, operator by operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.core.contract import Progress
from operators.core.errors import RunCancelled

if TYPE_CHECKING:
    from collections.abc import Callable

    from operators.core.errors import OperatorError


class Monitor:
    """Collects timings and the first failure, and turns steps into progress of the whole run.

    Attributes:
        timings_s: Seconds by step, in the order in which the steps ended.
        failure: The first error of a step.
    """

    def __init__(
        self, send: Callable[[Progress], None] | None = None, cancelled: Callable[[], bool] | None = None
    ) -> None:
        """Start with nothing done.

        Args:
            send: Called with each progress.
            cancelled: Says whether the run is not wanted any more.
        """
        self.timings_s: dict[str, float] = {}
        self.failure: OperatorError | None = None
        self._shares: dict[str, float] = {}
        self._send = send
        self._cancelled = cancelled

    def require_wanted(self) -> None:
        """End a run that is not wanted any more.

        Raises:
            RunCancelled: If it is not.
        """
        if self._cancelled is not None and self._cancelled():
            raise RunCancelled("the run was cancelled")

    def expect(self, step: str, share: float) -> None:
        """Count a step in, with its share of the run's time."""
        self._shares[step] = share

    def report(self, step: str, fraction: float, message: str = "") -> None:
        """A step has done this fraction of its own work."""
        if self._send is None:
            return
        done = sum(self._shares[name] for name in self.timings_s) + fraction * self._shares[step]
        self._send(
            Progress(operator=step, fraction=round(min(1.0, done / sum(self._shares.values())), 4), message=message)
        )

    def finish(self, step: str, seconds: float) -> None:
        """A step is done."""
        self.report(step, 1.0)
        self.timings_s[step] = round(seconds, 4)
