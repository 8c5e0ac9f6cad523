"""WriteRTStructureSet: the contours of segments as RT Structure Set, for viewers and planning systems without SEG."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, ClassVar

import highdicom as hd
import numpy as np
from pydicom import Dataset
from pydicom.charset import default_encoding
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import ImplicitVRLittleEndian, RTStructureSetStorage

from operators.core import defaults
from operators.core.errors import SegmentationError
from operators.core.found_segments import found_segments, plane_of
from operators.core.identity import ResultIdentity
from operators.core.label_map import LabelMap, require_grid_of_headers, require_same_grid
from operators.core.volume import Volume, require_frame_of_reference
from operators.runtime.step import Step
from operators.write.contours import keyhole, outlines, to_lps
from operators.write.marking import (
    contributing_equipment,
    equipment,
    no_names_in_warnings,
    save,
    series_description,
    source_headers,
    stamp,
)
from operators.write.stand_ins import image_references
from operators.write.write_segmentation import WriteParameters
from operators.write.written import WrittenFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from operators.core.found_segments import FoundSegment
    from operators.core.label_map import Segment

FILE_NAME = "rtstruct.dcm"
DECIMALS = 3
"""Of a coordinate in mm: a thousandth of a pixel or less."""
STUDY_SOP_CLASS = "1.2.840.10008.3.1.2.3.1"
"""Detached Study Management, retired: what RT Referenced Study Sequence names as the class of a study (PS3.3
C.8.8.5.4)."""
SHORT_STRING = 16
LONG_STRING = 64


class WriteRTStructureSet(Step):
    """Write a label map as one RT Structure Set in the source's study: one ROI a segment that was found.

    ROI Numbers are the Segment Numbers of the SEG. Contours are CLOSED_PLANAR, run along the edges of pixels and are
    exact to a micrometre; the pieces of a slice have a contour each, and a hole is joined to the contour around it by
    a channel of no width ("keyhole", PS3.3 C.8.8.6.3), which readers that unite contours and readers that combine
    them by exclusive or both understand. The file is Implicit VR: in Explicit VR Contour Data ends at 64 KiB.

    Named Input:
        volume: Volume, the source.
        label_map: LabelMap on its grid.
        identity: ResultIdentity.

    Named Output:
        rt_structure_set: WrittenFile with RT Structure Set Storage 1.2.840.10008.5.1.4.1.1.481.3.

    Raises GeometryError where the label map does not lie on the volume's grid, the volume not where its source says, or
    the source has no frame of reference, SegmentationError where no segment was found.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume", "label_map", "identity")
    output: ClassVar[str] = "rt_structure_set"
    share: ClassVar[float] = 4.0

    def process(self, volume: Volume, label_map: LabelMap, identity: ResultIdentity) -> WrittenFile:
        """Build and save."""
        parameters: WriteParameters = self.parameters
        dataset = build_rt_structure_set(volume, label_map, identity)
        path = parameters.folder / FILE_NAME
        save(dataset, path)
        return WrittenFile(path, dataset)


@no_names_in_warnings()
def build_rt_structure_set(volume: Volume, label_map: LabelMap, identity: ResultIdentity) -> hd.SOPClass:
    """The RT Structure Set of the segments that were found (PS3.3 A.19).

    Args:
        volume: The source; all its instances are referenced.
        label_map: Labels on the same grid.
        identity: UIDs and clock derive from it.

    Returns:
        The data set, unapproved.

    Raises:
        SegmentationError: If no segment was found.
    """
    require_same_grid(volume, label_map)
    require_grid_of_headers(volume, label_map)
    require_frame_of_reference(volume)
    found = found_segments(label_map)
    if not found:
        raise SegmentationError("no segment was found: there is nothing to write as RT Structure Set")
    dataset = _frame(volume, label_map, identity)
    dataset.StructureSetROISequence = [_roi(each, volume, label_map) for each in found]
    dataset.ROIContourSequence = [_roi_contour(each, volume, label_map) for each in found]
    dataset.RTROIObservationsSequence = [_observation(each) for each in found]
    stamp(dataset, identity, series_description("RTSTRUCT", identity))
    # An RT Structure Set has no content date but its own (PS3.3 C.8.8.5).
    dataset.StructureSetDate, dataset.StructureSetTime = dataset.ContentDate, dataset.ContentTime
    del dataset.ContentDate, dataset.ContentTime
    return dataset


def _frame(volume: Volume, label_map: LabelMap, identity: ResultIdentity) -> hd.SOPClass:
    """All but the ROIs."""
    algorithm = label_map.algorithm
    source = source_headers(volume)[0]
    dataset = hd.SOPClass(
        study_instance_uid=source.StudyInstanceUID,
        series_instance_uid=identity.uid("rtstruct/series"),
        series_number=defaults.RT_STRUCTURE_SET_SERIES_NUMBER,
        sop_instance_uid=identity.uid("rtstruct/instance"),
        sop_class_uid=RTStructureSetStorage,
        instance_number=1,
        modality="RTSTRUCT",
        transfer_syntax_uid=ImplicitVRLittleEndian,
        **equipment(algorithm),
        specific_character_set=source.get("SpecificCharacterSet"),
    )
    dataset.copy_patient_and_study_information(source)
    dataset.ContributingEquipmentSequence = [contributing_equipment(algorithm, identity)]
    dataset.OperatorsName = ""
    dataset.FrameOfReferenceUID = volume.frame_of_reference_uid
    dataset.PositionReferenceIndicator = source.get("PositionReferenceIndicator", "")
    dataset.StructureSetLabel = "SEGMENTATION"
    dataset.StructureSetName = algorithm.name[:LONG_STRING]
    dataset.StructureSetDescription = defaults.RESEARCH_STATUS
    dataset.ApprovalStatus = "UNAPPROVED"
    dataset.ReferencedFrameOfReferenceSequence = [_referenced_frame_of_reference(volume)]
    return dataset


def _referenced_frame_of_reference(volume: Volume) -> Dataset:
    """Frame of reference, study, series and images on which the ROIs were defined (PS3.3 C.8.8.5.4)."""
    header = volume.slices[0].header
    series = _item(
        SeriesInstanceUID=header.SeriesInstanceUID,
        ContourImageSequence=image_references(volume.slices),
    )
    study = _item(
        ReferencedSOPClassUID=STUDY_SOP_CLASS,
        ReferencedSOPInstanceUID=header.StudyInstanceUID,
        RTReferencedSeriesSequence=[series],
    )
    return _item(FrameOfReferenceUID=volume.frame_of_reference_uid, RTReferencedStudySequence=[study])


def _roi(found: FoundSegment, volume: Volume, label_map: LabelMap) -> Dataset:
    """Structure Set ROI Sequence item (PS3.3 C.8.8.5)."""
    volume_cm3 = float(found.pixels.sum()) * volume.voxel_volume_mm3 / 1000
    return _item(
        ROINumber=found.number,
        ReferencedFrameOfReferenceUID=volume.frame_of_reference_uid,
        ROIName=found.segment.label[:LONG_STRING],
        ROIVolume=f"{volume_cm3:.10g}",
        ROIGenerationAlgorithm="AUTOMATIC",
        ROIGenerationDescription=f"{label_map.algorithm.name} {label_map.algorithm.version}"[:LONG_STRING],
    )


def _roi_contour(found: FoundSegment, volume: Volume, label_map: LabelMap) -> Dataset:
    """ROI Contour Sequence item (PS3.3 C.8.8.6)."""
    return _item(
        ReferencedROINumber=found.number,
        ROIDisplayColor=list(found.segment.colour),
        RecommendedDisplayCIELabValue=list(hd.color.CIELabColor.from_rgb(*found.segment.colour).value),
        ContourSequence=list(_contours(found, volume, label_map)),
    )


def _contours(found: FoundSegment, volume: Volume, label_map: LabelMap) -> Iterator[Dataset]:
    """Contour Sequence items of a segment: one for each piece in each slice."""
    numbers = itertools.count(1)
    for index in found.slices:
        image = image_references([volume.slices[index]])
        for outline in outlines(plane_of(label_map, found.segment, index)):
            points = to_lps(keyhole(outline), index, volume.affine_lps)
            item = _item(
                ContourImageSequence=image,
                ContourGeometricType="CLOSED_PLANAR",
                NumberOfContourPoints=len(points),
                ContourNumber=next(numbers),
            )
            item["ContourData"] = _contour_data(points)
            # What is encoded stays as it is where an item counts as read from a file of the same encoding.
            item.set_original_encoding(True, True, default_encoding)
            yield item


def _observation(found: FoundSegment) -> Dataset:
    """RT ROI Observations Sequence item (PS3.3 C.8.8.8): what the ROI is, in the codes that the SEG has."""
    segment = found.segment
    item = _item(
        ObservationNumber=found.number,
        ReferencedROINumber=found.number,
        ROIObservationLabel=segment.label[:SHORT_STRING],
        SegmentedPropertyCategoryCodeSequence=[hd.sr.CodedConcept.from_code(segment.category)],
        RTROIIdentificationCodeSequence=[hd.sr.CodedConcept.from_code(segment.type)],
        RTROIInterpretedType="",
        ROIInterpreter="",
    )
    if segment.region:
        item.AnatomicRegionSequence = [hd.sr.CodedConcept.from_code(segment.region)]
    if segment.modifier:
        _add_modifier(item, segment)
    return item


def _add_modifier(item: Dataset, segment: Segment) -> None:
    """Add the laterality to the region where there is one, else to the type."""
    assert segment.modifier is not None
    concept = [hd.sr.CodedConcept.from_code(segment.modifier)]
    if segment.region:
        item.AnatomicRegionSequence[0].AnatomicRegionModifierSequence = concept
    else:
        item.RTROIIdentificationCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = concept


def _item(**values: Any) -> Dataset:  # noqa: ANN401 - whatever the elements take
    """An item with these elements."""
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _contour_data(points: NDArray[np.float64]) -> RawDataElement:
    """Contour Data (3006,0050) encoded: as objects, millions of Decimal Strings take most of the time."""
    # Zero is added so that no "-0" comes out.
    values = (np.round(points, DECIMALS) + 0.0).ravel().tolist()
    text = ("%.9g\\" * len(values) % tuple(values))[:-1]
    data = (text + " " * (len(text) % 2)).encode()
    return RawDataElement(Tag("ContourData"), "DS", len(data), data, 0, True, True)
