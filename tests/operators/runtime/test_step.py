"""Step: receive, process, time, emit; the first failure keeps the operator's name."""

from typing import ClassVar

import pytest

from operators.core.errors import NotApplicable, OperatorFailed
from operators.runtime.monitor import Monitor
from operators.runtime.sdk import Application
from operators.runtime.step import Step


class Double(Step):
    inputs: ClassVar[tuple[str, ...]] = ("number",)
    output: ClassVar[str] = "doubled"

    def process(self, number):
        if isinstance(number, Exception):
            raise number
        return 2 * number


class Sum(Step):
    inputs: ClassVar[tuple[str, ...]] = ("number", "more")
    output: ClassVar[str] = "sum"

    def process(self, number, more=100):
        return number + more


class Ports:
    """Stands in for the SDK's input and output of one call."""

    def __init__(self, **values):
        self.values = values
        self.emitted = {}

    def receive(self, port):
        return self.values[port]

    def emit(self, value, port):
        self.emitted[port] = value


@pytest.fixture
def application():
    return Application()


def test_value_of_process_is_emitted_under_the_port(application):
    ports = Ports(number=21)
    step = Double(application)

    step.compute(ports, ports, None)

    assert ports.emitted == {"doubled": 42}
    assert set(step.monitor.timings_s) == {"Double"}


def test_port_that_the_application_does_not_feed_takes_its_default(application):
    ports = Ports(number=21)
    step = Sum(application, without=["more", "what another step has"])

    step.compute(ports, ports, None)

    assert step.ports == ("number",)
    assert ports.emitted == {"sum": 121}


def test_unforeseen_error_carries_the_name_and_its_cause(application):
    ports = Ports(number=KeyError("spine"))
    step = Double(application, name="TwiceAsMuch")

    with pytest.raises(OperatorFailed, match="operator TwiceAsMuch failed: KeyError") as failed:
        step.compute(ports, ports, None)

    assert step.monitor.failure is failed.value
    assert isinstance(failed.value.__cause__, KeyError)
    assert ports.emitted == {}
    assert step.monitor.timings_s == {}


def test_error_of_an_operator_is_kept_as_it_is(application):
    error = NotApplicable(["no CT"])
    ports = Ports(number=error)
    step = Double(application)

    with pytest.raises(NotApplicable):
        step.compute(ports, ports, None)

    assert step.monitor.failure is error


def test_nothing_runs_after_a_failure(application):
    ports = Ports(number=1)
    step = Double(application)
    step.monitor.failure = NotApplicable(["no CT"])

    step.compute(ports, ports, None)

    assert ports.emitted == {}


def test_monitor_of_the_application_hears_of_the_step(application):
    heard = []
    application.monitor = Monitor(heard.append)

    Double(application).compute(Ports(number=1), Ports(), None)

    assert [(p.operator, p.fraction) for p in heard] == [("Double", 0), ("Double", 1)]
