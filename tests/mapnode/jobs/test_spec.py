"""Spec: the same input is the same job, and anything that changes a result makes another one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mapnode.jobs.spec import JobSpec, input_identity
from operators.core.contract import ObjectKind
from tests.mapnode.engine import make_spec

INSTANCES = [("1.2", "aa"), ("1.3", "bb"), ("1.4", "cc")]
BASE = {"app": "a", "version": "1", "parameters": {"p": 1}, "objects": {}, "instances": INSTANCES}


def identity(**changed) -> str:
    return input_identity(**{**BASE, **changed})


@given(instances=st.permutations(INSTANCES))
def test_the_order_of_instances_changes_nothing(instances):
    assert identity(instances=instances) == identity()


@pytest.mark.parametrize(
    "changed",
    [
        {"app": "b"},
        {"version": "2"},
        {"parameters": {"p": 2}},
        {"objects": {next(iter(ObjectKind)): True}},
        {"instances": INSTANCES[:2]},
        {"instances": [*INSTANCES[:2], ("1.4", "other bytes")]},
        {"attempt": 1},
        {"model_digest": "ab" * 32},
        {"reference": "ab" * 32},
        {"image": "sha256:" + "ab" * 32},
    ],
)
def test_whatever_changes_a_result_changes_the_identity(changed):
    assert identity(**changed) != identity()


def test_every_attempt_has_an_identity_of_its_own():
    assert len({identity(attempt=attempt) for attempt in range(20)}) == 20


def test_a_spec_survives_the_records():
    spec = make_spec(chain=("a", "b"), replaces=("x",), attempt=2, parameters={"a": [1, None]})

    assert JobSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_job_is_named_by_the_beginning_of_its_identity():
    spec = make_spec()

    assert len(spec.job_id) == 32
    assert spec.identity.startswith(spec.job_id)


def test_a_spec_with_an_identity_that_is_none_is_refused():
    with pytest.raises(ValidationError):
        make_spec(identity="3f2a")
