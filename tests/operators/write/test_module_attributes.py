"""ModuleAttributes: highdicom's table, entry by entry, of which only what is asked for is parsed."""

import json
import pkgutil

import pytest
from highdicom._standard_utils import get_module_attribute_map

import operators.write  # noqa: F401 - what makes results has highdicom parse when asked for
from operators.write.module_attributes import ModuleAttributes


@pytest.fixture(scope="module")
def text():
    return pkgutil.get_data("highdicom", "_standard/module_attribute_map.json").decode()


def test_all_modules_are_those_of_highdicom_in_their_order(text):
    expected = json.loads(text)

    table = ModuleAttributes(text)

    assert list(table) == list(expected)
    assert dict(table) == expected


def test_white_space_makes_no_difference(text):
    head = dict(list(json.loads(text).items())[:3])

    assert dict(ModuleAttributes(json.dumps(head, separators=(",", ":")))) == head
    assert dict(ModuleAttributes(json.dumps(head, indent=3))) == head


def test_what_is_no_module_is_a_key_error(text):
    table = ModuleAttributes(text)

    assert "path" not in table
    with pytest.raises(KeyError):
        table["general-nonsense"]


def test_a_module_is_the_same_object_each_time(text):
    table = ModuleAttributes(text)

    assert table["patient"] is table["patient"]


def test_highdicom_uses_it():
    assert isinstance(get_module_attribute_map(), ModuleAttributes)
