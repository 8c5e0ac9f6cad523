"""Results: one object of every kind that apps make, on one small volume, to put defects into."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.sr.codedict import codes as dictionary

from operators.core import codes
from operators.core.measurements import LARGEST_AREA, DerivedValue, KeySlice, Measurement, Quantity
from operators.measure.measure_segments import MEAN_HU
from operators.write.rejection_note import RejectionReason, build_rejection_note
from operators.write.write_measurement_report import Findings, build_report
from operators.write.write_parametric_map import build_parametric_map
from operators.write.write_presentation_state import build_presentation_state
from operators.write.write_report_pdf import build_encapsulated_pdf
from operators.write.write_rt_structure_set import build_rt_structure_set
from operators.write.write_secondary_capture import build_secondary_capture
from operators.write.write_segmentation import SegmentationType, build_segmentation
from tests.builders import (
    ALGORITHM,
    TISSUES,
    make_identity,
    make_label_map,
    make_measurements,
    make_quality,
    make_volume,
)

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n%%EOF\n"
FRACTION = Quantity("fraction", "1", dictionary.SCT.AdiposeTissue, dictionary.UCUM.NoUnits)


def make_results(volume=None) -> dict[str, Dataset]:
    """The objects by kind, as pydicom reads them from files."""
    volume = volume or make_volume()
    label_map, identity = make_label_map(volume), make_identity()
    apart = make_label_map(volume, segments=tuple(s for s in TISSUES if s.name != "body"))
    seg = build_segmentation(volume, label_map, identity)
    report = build_report(volume, label_map, seg, findings_of(label_map), identity)
    picture = Image.new("RGB", (41, 31), (9, 8, 7))
    made = {
        "seg": seg,
        "labelmap": build_segmentation(volume, apart, identity, SegmentationType.LABELMAP),
        "sr": report,
        "secondary_capture": build_secondary_capture(picture, [5], volume, seg, ALGORITHM, identity),
        "report_pdf": build_encapsulated_pdf(PDF, volume, seg, ALGORITHM, identity),
        "presentation_state": build_presentation_state(volume, label_map, make_measurements(label_map), identity),
        "rt_structure_set": build_rt_structure_set(volume, label_map, identity),
        "parametric_map": build_parametric_map(volume, FRACTION, ALGORITHM, identity),
        "key_object": build_rejection_note([seg, report], RejectionReason.QUALITY, identity, "Replaced."),
    }
    return {kind: as_read(dataset) for kind, dataset in made.items()}


def findings_of(label_map) -> Findings:
    """Numbers of every kind: by segment, derived, on a key slice, with remarks."""
    ratio = Quantity("ratio", "1", codes.RATIO, codes.RATIO_UNIT)
    derived = DerivedValue(ratio, "Ratio", "bone / fat", ("bone", "fat"), 0.5)
    row = KeySlice("bone", LARGEST_AREA, 5, "", (Measurement(MEAN_HU, 7.0),))
    return Findings(make_measurements(label_map), make_quality(), (derived,), (row,), comments=("Research.",))


def as_read(dataset: Dataset) -> Dataset:
    """The data set as a reader of its file gets it."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return dcmread(io.BytesIO(buffer.getvalue()))


def content_items(dataset: Dataset, value_type: str) -> list[Dataset]:
    """Content items of a type, depth first."""
    found = []
    for item in dataset.get("ContentSequence", []):
        found += [item] if item.ValueType == value_type else []
        found += content_items(item, value_type)
    return found


def content_named(dataset: Dataset, code: str) -> list[tuple[Dataset, Dataset]]:
    """Content items with a concept name, each with its parent."""
    found = []
    for item in dataset.get("ContentSequence", []):
        name = item.get("ConceptNameCodeSequence")
        found += [(dataset, item)] if name and name[0].CodeValue == code else []
        found += content_named(item, code)
    return found


def shift_positions(dataset: Dataset, by_mm) -> None:
    """Move all frames of a SEG or Parametric Map."""
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        plane = frame.PlanePositionSequence[0]
        plane.ImagePositionPatient = list(np.asarray(plane.ImagePositionPatient, float) + by_mm)
