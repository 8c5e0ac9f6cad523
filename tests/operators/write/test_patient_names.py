"""Patient names in every character set of shared/data come out of every object unchanged."""

import copy
import dataclasses
import importlib
import json
from pathlib import Path

import pytest
from pydicom import dcmread

from operators.runtime.sdk import Application
from operators.write import (
    WriteMeasurementReport,
    WriteParametricMap,
    WritePresentationState,
    WriteReportPdf,
    WriteRTStructureSet,
    WriteSecondaryCapture,
    WriteSegmentation,
)
from operators.write.marking import save
from operators.write.rejection_note import RejectionReason, build_rejection_note
from tests.builders import make_identity
from tests.conftest import SHARED_DATA

WRITERS = (
    WriteMeasurementReport,
    WriteParametricMap,
    WritePresentationState,
    WriteReportPdf,
    WriteRTStructureSet,
    WriteSecondaryCapture,
    WriteSegmentation,
)


def expected_names() -> dict[str, str]:
    """Names by file, as expected.json has them."""
    path = SHARED_DATA / "charsets" / "expected.json"
    if not path.is_file():
        return {}
    document = json.loads(path.read_text(encoding="utf-8"))
    return {series["instances"][0]["file"]: series["patient_names"][0] for series in document["series"]}


NAMES = expected_names()
pytestmark = [
    pytest.mark.skipif(not NAMES, reason="shared/data/charsets is not here"),
    pytest.mark.filterwarnings("ignore:Failed to encode"),  # pydicom's, of the file with letters that its set lacks
]
each_file = pytest.mark.parametrize("file", NAMES)


def named(volume, file):
    """A volume of the patient of a file."""
    source = dcmread(SHARED_DATA / "charsets" / file, stop_before_pixels=True)
    slices = []
    for one in volume.slices:
        header = copy.deepcopy(one.header)
        for keyword in ("SpecificCharacterSet", "PatientName"):
            if keyword in source:
                header[keyword] = source[keyword]
        slices.append(dataclasses.replace(one, header=header))
    return dataclasses.replace(volume, slices=tuple(slices))


def write(writer, file, folder) -> Path:
    """The object that a writer makes of its own example, of that patient."""
    module = importlib.import_module(f"tests.operators.write.test_{writer.__module__.rpartition('.')[2]}")
    parameters, inputs = module.example(folder)
    port = "values" if writer is WriteParametricMap else "volume"
    path: Path = writer(Application(), parameters).process(**inputs | {port: named(inputs[port], file)}).path
    return path


@each_file
@pytest.mark.parametrize("writer", WRITERS)
def test_name_comes_out_unchanged(tmp_path, writer, file):
    written = dcmread(write(writer, file, tmp_path))

    assert str(written.PatientName) == NAMES[file]


@each_file
def test_name_comes_out_of_a_rejection_note_unchanged(tmp_path, file):
    rejected = dcmread(write(WriteSegmentation, file, tmp_path), stop_before_pixels=True)

    save(build_rejection_note([rejected], RejectionReason.QUALITY, make_identity(), "Superseded."), tmp_path / "ko.dcm")

    assert str(dcmread(tmp_path / "ko.dcm").PatientName) == NAMES[file]
