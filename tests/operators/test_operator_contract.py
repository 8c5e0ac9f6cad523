"""Every operator keeps the contract; a new one is found by itself."""

import copy
import dataclasses
import hashlib
import importlib
import inspect
import itertools
import pkgutil
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel
from pydicom import DataElement, Dataset

import operators
from operators.runtime.outcome import Outcome
from operators.runtime.sdk import Application
from operators.runtime.step import Step

ROOT = Path(operators.__file__).parents[1]
MODULES = [
    importlib.import_module(found.name)
    for found in pkgutil.walk_packages(operators.__path__, "operators.")
    if not found.ispkg
]


def steps_of(module) -> list[type[Step]]:
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Step)
        and value is not Step
        and value.__module__ == module.__name__
    ]


OPERATORS = [pytest.param(step, id=step.__name__) for module in MODULES for step in steps_of(module)]
each_operator = pytest.mark.parametrize("step", OPERATORS)


def module_of(step: type[Step]):
    return importlib.import_module(step.__module__)


def example_of(step: type[Step], tmp_path: Path):
    _, room, name = step.__module__.split(".")
    return importlib.import_module(f"tests.operators.{room}.test_{name}").example(tmp_path)


def documented_ports(step: type[Step], section: str) -> list[str]:
    """The names below "Named Input:" or "Named Output:"; several may share a line."""
    lines = inspect.getdoc(step).splitlines()
    if f"{section}:" not in lines:
        return []
    ports = []
    for line in lines[lines.index(f"{section}:") + 1 :]:
        if not line.startswith("    "):
            break
        if port := re.match(r" {4}(\w+(?:, \w+)*):", line):
            ports += port[1].split(", ")
    return ports


def fingerprint(value):
    """A value that is equal exactly where all that can be seen of two values is equal.

    Raises:
        TypeError: If it does not know how to look into a value.
    """
    if value is None or isinstance(value, (bool, int, float, str, bytes, complex, date, Enum)):
        return type(value).__name__, repr(value)
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, hashlib.sha256(value.tobytes()).hexdigest()
    if isinstance(value, Path):
        return path_fingerprint(value)
    if isinstance(value, Dataset):
        return [fingerprint(element) for element in value], fingerprint(getattr(value, "file_meta", None))
    if isinstance(value, DataElement):
        return str(value.tag), value.VR, fingerprint(value.value)
    if isinstance(value, BaseModel):
        return type(value).__name__, value.model_dump_json()
    if dataclasses.is_dataclass(value):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return type(value).__name__, fingerprint(fields)
    if isinstance(value, Mapping):
        return sorted((repr(key), fingerprint(item)) for key, item in value.items())
    if hasattr(value, "__iter__"):
        return [fingerprint(item) for item in value]
    return opaque_fingerprint(value)


def opaque_fingerprint(value):
    """Decimals and person names say all that they are.

    Raises:
        TypeError: If a value's text would be its address.
    """
    text = repr(value)
    if " at 0x" in text:
        raise TypeError(f"no fingerprint for {text}")
    return type(value).__name__, text


def path_fingerprint(path: Path):
    if path.is_dir():
        return path.name, [path_fingerprint(child) for child in sorted(path.iterdir())]
    return path.name, hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


IMPORT_EACH_FIRST = """
import importlib, sys
for name in sys.argv[1:]:
    for loaded in [m for m in sys.modules if m == "operators" or m.startswith("operators.")]:
        del sys.modules[loaded]
    try:
        importlib.import_module(name)
    except ImportError as error:
        print(f"{name}: {error}")
"""


def test_every_module_can_be_the_first_to_be_imported():
    names = [found.name for found in pkgutil.walk_packages(operators.__path__, "operators.")]

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", IMPORT_EACH_FIRST, *names],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )

    assert done.stdout.splitlines() == []


def test_operators_are_found():
    assert len(OPERATORS) >= 12


@each_operator
def test_module_is_named_after_its_only_operator(step):
    module = module_of(step)

    snake_case = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", step.__name__).lower()

    assert module.__name__.rsplit(".", maxsplit=1)[-1] == snake_case
    assert steps_of(module) == [step]


@each_operator
def test_module_docstring_says_what_the_operator_does(step):
    first_line = module_of(step).__doc__.splitlines()[0]

    assert re.fullmatch(rf"{step.__name__}: \S.*\.", first_line)


@each_operator
def test_docstring_names_exactly_the_ports(step):
    assert documented_ports(step, "Named Input") == list(step.inputs)
    assert documented_ports(step, "Named Output") == ([step.output] if step.output else [])


@each_operator
def test_process_takes_the_input_ports(step):
    parameters = list(inspect.signature(step.process).parameters.values())[1:]

    assert [p.name for p in parameters if p.kind is not p.VAR_KEYWORD] == list(step.inputs)


@each_operator
def test_room_exports_the_operator(step):
    room = importlib.import_module(step.__module__.rpartition(".")[0])

    assert step.__name__ in room.__all__
    assert getattr(room, step.__name__) is step


@each_operator
def test_operator_has_a_test_file_with_an_example(step):
    _, room, name = step.__module__.split(".")

    source = (ROOT / "tests" / "operators" / room / f"test_{name}.py").read_text(encoding="utf-8")

    assert re.search(r"^def example\(_?tmp_path", source, re.MULTILINE)
    assert len(re.findall(r"^def test_", source, re.MULTILINE)) > 0


@each_operator
def test_operator_can_be_built_on_a_bare_application(step, tmp_path):
    parameters, inputs = example_of(step, tmp_path)

    built = step(Application(), parameters)

    assert built.parameters is parameters
    assert set(step.inputs) <= set(inputs)


@each_operator
def test_operator_prepares_without_models_and_as_often_as_asked(step):
    for _ in range(2):
        assert step.prepare(None) is None


@each_operator
def test_parameters_are_frozen(step, tmp_path):
    parameters, _ = example_of(step, tmp_path)

    if isinstance(parameters, Outcome):
        assert step.output is None, "only the step that ends all paths may write into its parameters"
    elif isinstance(parameters, BaseModel):
        assert parameters.model_config.get("frozen")
    elif parameters is not None:
        assert dataclasses.is_dataclass(parameters)
        assert parameters.__dataclass_params__.frozen


@each_operator
def test_process_leaves_its_inputs_unchanged(step, tmp_path):
    parameters, inputs = example_of(step, tmp_path)
    before = fingerprint(inputs)

    step(Application(), parameters).process(**inputs)

    assert fingerprint(inputs) == before


@each_operator
def test_process_repeats_itself(step, tmp_path):
    parameters, inputs = example_of(step, tmp_path)
    results = []

    for _ in range(2):
        own = copy.deepcopy(parameters)
        results.append(fingerprint((step(Application(), own).process(**inputs), own)))

    assert results[0] == results[1]


def test_fingerprint_sees_a_changed_voxel_a_changed_element_and_a_changed_file(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"1")
    dataset = Dataset()
    dataset.PatientID = "1"
    values = {"array": np.zeros(3), "dataset": [dataset], "path": path}
    seen = [fingerprint(values)]

    values["array"][1] = 1
    seen.append(fingerprint(values))
    dataset.PatientID = "2"
    seen.append(fingerprint(values))
    path.write_bytes(b"2")
    seen.append(fingerprint(values))

    assert all(a != b for a, b in itertools.pairwise(seen))
