"""Errors: one tree, each with its fields and its sentence."""

import inspect

import pytest

from operators.core import errors
from operators.core.errors import InputRefused, NotApplicable, OperatorError, OperatorFailed
from operators.core.findings import Finding, FindingCode

CLASSES = [value for value in vars(errors).values() if inspect.isclass(value) and value.__module__ == errors.__name__]


@pytest.mark.parametrize("error", CLASSES)
def test_every_error_has_one_base_and_stands_in_the_tree(error):
    assert issubclass(error, OperatorError)
    assert error.__name__ in errors.__doc__


def test_refusal_says_every_finding():
    findings = [Finding(FindingCode.MIXED_MATRIX, "two sizes"), Finding(FindingCode.GANTRY_TILT, "tilted")]

    refused = InputRefused(iter(findings))

    assert str(refused) == "mixed_matrix: two sizes; gantry_tilt: tilted"
    assert refused.findings == tuple(findings)


def test_not_applicable_says_every_reason():
    error = NotApplicable(["series 1: too short", "series 2: no CT"])

    assert str(error) == "series 1: too short; series 2: no CT"


def test_failure_names_operator_and_cause():
    error = OperatorFailed("Segment", ValueError("Unable to convert 'Doe^Jane' to a date\nmore"))

    assert str(error) == "operator Segment failed: ValueError: Unable to convert '...' to a date"
    assert error.operator == "Segment"
