"""ModuleAttributes: highdicom's table, entry by entry, of which only what is asked for is parsed."""

import json
import mmap
import pkgutil

import pytest
from highdicom import _standard_utils
from highdicom._standard_utils import get_module_attribute_map

import operators.write  # noqa: F401 - what makes results has highdicom parse when asked for
from operators.write.module_attributes import ModuleAttributes


@pytest.fixture(scope="module")
def table_json():
    return pkgutil.get_data("highdicom", "_standard/module_attribute_map.json")


def test_all_modules_are_those_of_highdicom_in_their_order(table_json):
    expected = json.loads(table_json)

    table = ModuleAttributes(table_json)

    assert list(table) == list(expected)
    assert dict(table) == expected


def test_white_space_makes_no_difference(table_json):
    head = dict(list(json.loads(table_json).items())[:3])

    assert dict(ModuleAttributes(json.dumps(head, separators=(",", ":")).encode())) == head
    assert dict(ModuleAttributes(json.dumps(head, indent=3).encode())) == head


def test_what_is_no_module_is_a_key_error(table_json):
    table = ModuleAttributes(table_json)

    assert "path" not in table
    with pytest.raises(KeyError):
        table["general-nonsense"]


def test_a_module_is_the_same_object_each_time(table_json):
    table = ModuleAttributes(table_json)

    assert table["patient"] is table["patient"]


def test_names_are_read_as_utf8():
    table = {"first": [{"keyword": "Größe"}], "zweites-größtes": [{"keyword": "B"}]}

    assert dict(ModuleAttributes(json.dumps(table, ensure_ascii=False).encode())) == table


def test_highdicom_uses_it_and_reads_its_other_files_as_before():
    table = get_module_attribute_map()

    assert isinstance(table, ModuleAttributes)
    assert isinstance(vars(table)["_table"], mmap.mmap), "a copy of the table takes as long as its index"
    assert (_standard_utils.json, _standard_utils.pkgutil) == (json, pkgutil)
