"""Spec: the same input, app and parameters are one job; anything else is another."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mapnode.jobs.spec import JobSpec, job_id

INSTANCES = (("1.2.1", "aa"), ("1.2.2", "bb"), ("1.2.3", "cc"))


def make_spec(**changed) -> JobSpec:
    values = {
        "rule": "trunk",
        "app": "toy",
        "app_version": "1.0.0",
        "parameters": {"p": 1, "q": [1, 2]},
        "series_id": "orthanc-series",
        "study_instance_uid": "1.2",
        "series_instance_uid": "1.2.3",
    }
    return JobSpec(**(values | changed))


@given(st.permutations(INSTANCES))
def test_the_order_of_instances_does_not_matter(instances):
    assert job_id(make_spec(), instances) == job_id(make_spec(), INSTANCES)


def test_the_order_of_parameters_does_not_matter():
    turned = make_spec(parameters={"q": [1, 2], "p": 1})

    assert job_id(turned, INSTANCES) == job_id(make_spec(), INSTANCES)


@pytest.mark.parametrize(
    "changed",
    [{"app": "other"}, {"app_version": "1.0.1"}, {"parameters": {"p": 2, "q": [1, 2]}}, {"parameters": {}}],
    ids=["app", "version", "value of a parameter", "no parameters"],
)
def test_app_version_and_parameters_each_make_another_job(changed):
    assert job_id(make_spec(**changed), INSTANCES) != job_id(make_spec(), INSTANCES)


@pytest.mark.parametrize(
    "instances",
    [
        INSTANCES[:2],
        (*INSTANCES, ("1.2.4", "dd")),
        (("1.2.9", "aa"), *INSTANCES[1:]),
        (("1.2.1", "ee"), *INSTANCES[1:]),
        (("1.2.1", "bb"), ("1.2.2", "aa"), INSTANCES[2]),
    ],
    ids=["one less", "one more", "another UID", "another file", "files swapped"],
)
def test_the_input_makes_another_job(instances):
    assert job_id(make_spec(), instances) != job_id(make_spec(), INSTANCES)


def test_who_asks_and_where_orthanc_keeps_it_does_not_make_another_job():
    other = make_spec(rule="second", series_id="another")

    assert job_id(other, INSTANCES) == job_id(make_spec(), INSTANCES)


def test_an_identifier_is_32_hexadecimal_digits():
    assert re.fullmatch("[0-9a-f]{32}", job_id(make_spec(), INSTANCES))


def test_a_spec_survives_the_database():
    assert JobSpec.model_validate(make_spec().model_dump()) == make_spec()


def test_a_spec_with_an_unknown_key_is_refused():
    with pytest.raises(ValidationError, match="colour"):
        make_spec(colour="blue")
