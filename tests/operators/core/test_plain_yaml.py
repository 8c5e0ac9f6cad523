"""PlainYaml: what libyaml reads is what PyYAML itself reads, and nothing but plain values."""

from pathlib import Path

import pytest
import yaml

from operators.core.plain_yaml import read_yaml

ROOT = Path(__file__).parents[3]
DOCUMENTS = [ROOT / "operators/core/catalogue.yaml", *sorted((ROOT / "apps").glob("*/app.yaml"))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_our_files_say_what_pyyaml_reads(path):
    text = path.read_text(encoding="utf-8")

    assert read_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: [1, 1.5, yes, null, 012, '012', 1e3, 2025-01-02]",
        "a: &x {b: |\n  c\n }",
        "ü: [日本, '\\u263a', \"\\u263a\"]",
        "- <<: {a: 1}\n  b: 2",
    ],
)
def test_plain_values_are_those_of_pyyaml(text):
    assert read_outcome(read_yaml, text) == read_outcome(yaml.safe_load, text)


def read_outcome(read, text):
    try:
        return read(text)
    except yaml.YAMLError:
        return "refused"


@pytest.mark.parametrize("text", ["a: [", "!!python/object/apply:os.getcwd []", "\x00", b"\xff\xfea"])
def test_what_is_no_yaml_or_names_python_is_refused(text):
    with pytest.raises(yaml.YAMLError):
        read_yaml(text)
    with pytest.raises(yaml.YAMLError):
        yaml.safe_load(text)
