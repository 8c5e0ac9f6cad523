"""Step: the base of all operators; it receives, calls, times, emits and reports."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, ClassVar

from operators.core.errors import OperatorError, OperatorFailed
from operators.runtime.monitor import Monitor
from operators.runtime.sdk import Operator, OperatorSpec, once

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable
    from pathlib import Path

    from operators.runtime.sdk import Fragment


class Step(Operator):  # type: ignore[misc]
    """An operator with its ports as class attributes and its work in one method.

    A subclass names its ports, takes a frozen dataclass of checked parameters, and implements `process`, which calls
    a pure function. Everything else of an SDK operator is here.

    Attributes:
        inputs: Names of the input ports, the keyword arguments of `process`.
        output: Name of the output port, or None for a step that ends a path.
        share: Share of a run's time that the step takes, for the progress bar; any unit.
    """

    inputs: ClassVar[tuple[str, ...]] = ()
    output: ClassVar[str | None] = None
    share: ClassVar[float] = 1.0
    process: Callable[..., Any]
    """The step's work: values of the input ports in, value of the output port out; each subclass types its own."""

    def __init__(
        self,
        fragment: Fragment,
        parameters: Any = None,  # noqa: ANN401
        *,
        name: str | None = None,
        more_inputs: Iterable[str] = (),
        without: Collection[str] = (),
    ) -> None:
        """Bind the step to an application.

        Args:
            fragment: The application; its `monitor`, if it has one, hears of progress.
            parameters: The subclass's parameters.
            name: Name in the graph; the class's name where not given.
            more_inputs: Names of input ports that only this application has.
            without: Names of input ports for which this application has no source; `process` has a default for them.
        """
        self.ports = (*(port for port in self.inputs if port not in without), *more_inputs)
        self.parameters = parameters
        self.monitor: Monitor = getattr(fragment, "monitor", None) or Monitor()
        self.step_name = name or type(self).__name__
        conditions = () if self.ports else (once(fragment),)
        super().__init__(fragment, *conditions, name=self.step_name)
        self.monitor.expect(self.step_name, self.share)

    @classmethod
    def prepare(cls, model: Path | None) -> None:
        """Do once what every run needs, before the first one: a warm worker calls it for the steps of its app.

        Args:
            model: Folder with the app's models. An engine that loads one keeps it, in its module, by folder.
        """

    def setup(self, spec: OperatorSpec) -> None:
        """Declare the ports."""
        for port in self.ports:
            spec.input(port)
        if self.output is not None:
            spec.output(self.output)

    def compute(self, op_input: Any, op_output: Any, context: Any) -> None:  # noqa: ANN401
        """Receive, process, emit; the first failure of a run is kept with the operator's name.

        Raises:
            OperatorError: What the step refused, or OperatorFailed around anything else.
        """
        values = {port: op_input.receive(port) for port in self.ports}
        if self.monitor.failure is not None:
            return
        started = time.perf_counter()
        try:
            self.report(0.0)
            result = self.process(**values)
        except OperatorError as error:
            self.monitor.failure = error
            raise
        except Exception as error:
            self.monitor.failure = OperatorFailed(self.step_name, error)
            self.monitor.failure.__cause__ = error
            raise self.monitor.failure from error
        self.monitor.finish(self.step_name, time.perf_counter() - started)
        if self.output is not None:
            op_output.emit(result, self.output)

    def report(self, fraction: float, message: str = "") -> None:
        """Say how much of this step is done, between 0 and 1: the more often, the sooner a cancelled run ends.

        Raises:
            RunCancelled: If the run is not wanted any more.
        """
        self.monitor.require_wanted()
        self.monitor.report(self.step_name, fraction, message)
