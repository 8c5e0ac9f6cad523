"""Kind checks: captures, documents, presentation states, structure sets, maps and notes, valid and with defects."""

import copy

import numpy as np
import pytest

from operators.core.object_checks import check_object
from operators.core.source_planes import planes_of
from tests.builders import make_volume
from tests.results import make_results, shift_positions

KINDS = (
    "seg",
    "labelmap",
    "sr",
    "secondary_capture",
    "report_pdf",
    "presentation_state",
    "rt_structure_set",
    "parametric_map",
    "key_object",
)


@pytest.fixture(scope="module")
def written():
    return make_results()


@pytest.fixture(scope="module")
def source():
    return planes_of([s.header for s in make_volume().slices])


def at(dataset, *path):
    """The first item of nested sequences."""
    for keyword in path:
        dataset = dataset[keyword].value[0]
    return dataset


def first_graphic(dataset):
    return next(a for a in dataset.GraphicAnnotationSequence if "GraphicObjectSequence" in a).GraphicObjectSequence[0]


def delete(keyword, *path):
    return lambda dataset: delattr(at(dataset, *path), keyword)


def put(keyword, value, *path):
    return lambda dataset: setattr(at(dataset, *path), keyword, value)


CAPTURE = [
    (delete("ConversionType"), "ConversionType (0008,0064) is absent or empty"),
    (delete("PixelData"), "PixelData (7FE0,0010) is absent"),
    (put("SamplesPerPixel", 1), "SamplesPerPixel (0028,0002) is not what PhotometricInterpretation has"),
    (delete("PlanarConfiguration"), "PlanarConfiguration (0028,0006) is absent"),
    (put("Rows", 30), "PixelData has 3814 bytes, 1 frames need 3690"),
]
DOCUMENT = [
    (put("Modality", "OT"), "Modality (0008,0060) is not DOC"),
    (
        put("MIMETypeOfEncapsulatedDocument", "text/xml"),
        "MIMETypeOfEncapsulatedDocument (0042,0012) is not application",
    ),
    (put("EncapsulatedDocument", b"<html>"), "EncapsulatedDocument (0042,0011) is no PDF"),
    (put("EncapsulatedDocument", b"%PDF-1.4 cut"), "EncapsulatedDocument (0042,0011) is cut off"),
    (delete("BurnedInAnnotation"), "BurnedInAnnotation (0028,0301) is absent or empty"),
    (delete("DocumentTitle"), "DocumentTitle (0042,0010) is absent"),
]
PRESENTATION = [
    (delete("ContentLabel"), "ContentLabel (0070,0080) is absent or empty"),
    (delete("DisplayedAreaSelectionSequence"), "DisplayedAreaSelectionSequence (0070,005A) is absent or empty"),
    (delete("PresentationLUTShape"), "PresentationLUTShape (2050,0020) is absent"),
    (delete("ReferencedSeriesSequence"), "ReferencedSeriesSequence (0008,1115) names no image"),
    (
        put("ReferencedSOPInstanceUID", "1.2.3", "GraphicAnnotationSequence", "ReferencedImageSequence"),
        "annotation 1 refers to an image that ReferencedSeriesSequence does not list",
    ),
    (put("GraphicLayer", "GHOST", "GraphicAnnotationSequence"), "annotation 1 is on a layer that GraphicLayerSequence"),
    (
        lambda dataset: setattr(first_graphic(dataset), "NumberOfGraphicPoints", 99),
        "has a graphic of 99 points whose GraphicData has another length",
    ),
]
CONTOUR = ("ROIContourSequence", "ContourSequence")
STRUCTURES = [
    (delete("StructureSetLabel"), "StructureSetLabel (3006,0002) is absent or empty"),
    (delete("StructureSetROISequence"), "StructureSetROISequence (3006,0020) is absent or empty"),
    (put("ROINumber", 2, "StructureSetROISequence"), "ROINumber (3006,0022) is not unique"),
    (
        delete("ReferencedFrameOfReferenceUID", "StructureSetROISequence"),
        "a region has no ReferencedFrameOfReferenceUID",
    ),
    (put("ReferencedROINumber", 9, "ROIContourSequence"), "ROIContourSequence (3006,0039) names 1 regions"),
    (
        put("ReferencedROINumber", 9, "RTROIObservationsSequence"),
        "RTROIObservationsSequence (3006,0080) names 1 regions",
    ),
    (put("NumberOfContourPoints", 2, *CONTOUR), "contours have too few or too many numbers in ContourData"),
    (put("ContourData", [1, 2], *CONTOUR), "contours have too few or too many numbers in ContourData"),
]
MAP = [
    (delete("Modality"), "Modality is absent or empty"),
    (delete("FloatPixelData"), "there are no values"),
    (delete("FrameOfReferenceUID"), "FrameOfReferenceUID is absent"),
    (
        delete("RealWorldValueMappingSequence", "SharedFunctionalGroupsSequence"),
        "12 of 12 frames do not say what their values are",
    ),
    (put("Rows", 5), "FloatPixelData has 1440 bytes, 12 frames need 1200"),
    (put("NumberOfFrames", 11), "NumberOfFrames is 11, but 12 frames are described"),
]
NOTE = [
    (delete("ContentTemplateSequence"), "the root content item is not TID 2010"),
    (delete("CurrentRequestedProcedureEvidenceSequence"), "CurrentRequestedProcedureEvidenceSequence is absent"),
    (put("ContentSequence", []), "it names no object (TID 2010)"),
    (delete("ConceptNameCodeSequence"), "the document has no title"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_that_apps_make_is_valid_on_its_source_and_alone(written, source, kind):
    assert check_object(copy.deepcopy(written[kind])) == []
    assert check_object(copy.deepcopy(written[kind]), source) == []


@pytest.mark.parametrize(
    ("kind", "change", "sentence"),
    [
        *(("secondary_capture", *case) for case in CAPTURE),
        *(("report_pdf", *case) for case in DOCUMENT),
        *(("presentation_state", *case) for case in PRESENTATION),
        *(("rt_structure_set", *case) for case in STRUCTURES),
        *(("parametric_map", *case) for case in MAP),
        *(("key_object", *case) for case in NOTE),
    ],
)
def test_defect_is_told(written, kind, change, sentence):
    dataset = copy.deepcopy(written[kind])
    change(dataset)

    found = check_object(dataset)

    assert any(sentence in problem for problem in found), found


@pytest.mark.parametrize(
    "by_mm", [(0, 0, 3), (0, 0, 1), (40, 0, 0), (0, -40, 0)], ids=["next slice", "between", "left", "front"]
)
def test_contours_off_their_slice_are_found(written, source, by_mm):
    dataset = copy.deepcopy(written["rt_structure_set"])
    contours = [c for region in dataset.ROIContourSequence for c in region.ContourSequence]
    for contour in contours:
        points = np.array(contour.ContourData, float).reshape(-1, 3) + by_mm
        contour.ContourData = [f"{value:.4f}" for value in points.ravel()]

    assert check_object(dataset, source) == [
        f"{len(contours)} of {len(contours)} contours lie outside of the source image that they refer to"
    ]


def test_a_contour_that_names_another_slice_is_found(written, source):
    dataset = copy.deepcopy(written["rt_structure_set"])
    first, second = dataset.ROIContourSequence[0].ContourSequence[:2]
    first.ContourImageSequence = copy.deepcopy(second.ContourImageSequence)

    (problem,) = check_object(dataset, source)
    assert problem.startswith("1 of ")


def test_a_map_off_its_slices_is_found(written, source):
    dataset = copy.deepcopy(written["parametric_map"])
    shift_positions(dataset, (0, 0, 3))

    problem, outermost = check_object(dataset, source)
    assert problem.startswith("11 of 12 frames lie on another source image than the one that they refer to")
    assert outermost.startswith("1 of 12 frames lie elsewhere than the source images that they refer to: shifted")


@pytest.mark.parametrize("kind", ["seg", "parametric_map", "presentation_state"])
def test_objects_in_another_frame_of_reference_are_found(written, source, kind):
    dataset = copy.deepcopy(written[kind])
    dataset.FrameOfReferenceUID = "2.25.1"

    assert check_object(dataset, source) == [
        "FrameOfReferenceUID is not the source's: its coordinates are those of another scan"
    ]


def test_the_file_has_to_say_the_same_as_the_data_set(written):
    dataset = copy.deepcopy(written["report_pdf"])
    dataset.file_meta.MediaStorageSOPInstanceUID = "2.25.5"

    (problem,) = check_object(dataset)
    assert problem.startswith("MediaStorageSOPInstanceUID of the file meta information is not SOPInstanceUID")
