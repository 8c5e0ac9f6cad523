"""WriteParametricMap: a volume of values that are no image, such as a fraction or a score, as Parametric Map."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import highdicom as hd
import numpy as np
from highdicom import pm
from pydicom import Dataset
from pydicom.sr.codedict import codes

from operators.core import defaults
from operators.core.codes import TISSUE
from operators.core.errors import GeometryError, OperatorError
from operators.core.identity import ResultIdentity
from operators.core.volume import Volume, require_frame_of_reference
from operators.runtime.step import Step
from operators.write.marking import (
    contributing_equipment,
    equipment,
    no_names_in_warnings,
    save,
    series_description,
    stamp,
)
from operators.write.stand_ins import put_references, stand_ins
from operators.write.written import WrittenFile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from pydicom.sr.coding import Code

    from operators.core.label_map import Algorithm
    from operators.core.measurements import Quantity

FILE_NAME = "parametric_map.dcm"
SHORT_STRING, LONG_STRING = 16, 64


@dataclass(frozen=True)
class ParametricMapParameters:
    """What the values are, and where they go.

    Attributes:
        folder: Output folder, which exists.
        quantity: Name, unit and codes of the values.
        algorithm: Who computed them.
        region: Anatomic region that the frames show; "Tissue" where nobody knows.
    """

    folder: Path
    quantity: Quantity
    algorithm: Algorithm
    region: Code = TISSUE


class WriteParametricMap(Step):
    """Write a volume of values as one Parametric Map in the source's study, 32 bit floating point, frame by slice.

    Named Input:
        values: Volume whose array holds the quantity; its slices are the source.
        identity: ResultIdentity.

    Named Output:
        parametric_map: WrittenFile with Parametric Map Storage 1.2.840.10008.5.1.4.1.1.30.

    Raises GeometryError where the volume has not one slice for each of its sources or no frame of reference,
    OperatorError where a value is no finite number.
    """

    inputs: ClassVar[tuple[str, ...]] = ("values", "identity")
    output: ClassVar[str] = "parametric_map"
    share: ClassVar[float] = 4.0

    def process(self, values: Volume, identity: ResultIdentity) -> WrittenFile:
        """Build and save."""
        parameters: ParametricMapParameters = self.parameters
        dataset = build_parametric_map(values, parameters.quantity, parameters.algorithm, identity, parameters.region)
        path = parameters.folder / FILE_NAME
        save(dataset, path)
        return WrittenFile(path, dataset)


@no_names_in_warnings()
def build_parametric_map(
    values: Volume,
    quantity: Quantity,
    algorithm: Algorithm,
    identity: ResultIdentity,
    region: Code = TISSUE,
) -> Dataset:
    """A Parametric Map (PS3.3 A.75) on the grid of a volume.

    Args:
        values: The quantity, rounded to 32 bit floating point; its affine says where the frames lie, its slices are
            the source.
        quantity: What the values are.
        algorithm: Who computed them.
        identity: UIDs and clock derive from it.
        region: Anatomic region that the frames show.

    Returns:
        The data set; stored values are the real world values (slope 1, intercept 0).

    Raises:
        GeometryError: If the volume has not one slice for each of its sources, or no frame of reference.
    """
    if len(values.slices) != len(values.array):
        raise GeometryError(
            f"the volume has {len(values.array)} slices of {len(values.slices)} images; a map refers to one for each"
        )
    require_frame_of_reference(values)
    array = values.array.astype(np.float32)
    low, high = _range(array)
    dataset = pm.ParametricMap(
        source_images=stand_ins(values),
        pixel_array=array,
        series_instance_uid=identity.uid("parametric_map/series"),
        series_number=defaults.PARAMETRIC_MAP_SERIES_NUMBER,
        sop_instance_uid=identity.uid("parametric_map/instance"),
        instance_number=1,
        **equipment(algorithm),
        # Nobody has looked whether a face can be seen.
        contains_recognizable_visual_features=True,
        real_world_value_mappings=[_mapping(quantity, low, high)],
        voi_lut_transformations=[_window(low, high)],
        content_description=defaults.RESEARCH_STATUS,
        contributing_equipment=[contributing_equipment(algorithm, identity)],
        **_places(values),
    )
    uid = identity.uid("parametric_map/dimensions")
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = uid
    dataset.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [_frame_anatomy(region)]
    put_references(dataset, values)
    ordered = _along_the_normal(dataset, values, array)
    # Type 2 (PS3.3 10.9): no person made it.
    ordered.ContentCreatorName = ""
    stamp(ordered, identity, series_description("map", identity))
    return ordered


def _along_the_normal(dataset: pm.ParametricMap, values: Volume, array: NDArray[np.float32]) -> Dataset:
    """The map with its frames along row direction x column direction.

    highdicom has them the other way round, and dcmqi 1.5.7 and other readers that do not sort frames flip such a map.
    The result is a plain data set: the class remembers its own order.
    """
    normal = np.cross(values.affine_lps[:3, 2], values.affine_lps[:3, 1])
    order = np.argsort([np.dot(values.position_lps(index), normal) for index in range(len(array))]).tolist()
    groups = sorted(
        dataset.PerFrameFunctionalGroupsSequence,
        key=lambda item: float(np.dot(item.PlanePositionSequence[0].ImagePositionPatient, normal)),
    )
    for number, item in enumerate(groups, start=1):
        item.FrameContentSequence[0].DimensionIndexValues = [number]
    ordered = Dataset(dataset)
    ordered.file_meta = dataset.file_meta
    ordered.PerFrameFunctionalGroupsSequence = groups
    ordered.FloatPixelData = array[order].astype("<f4").tobytes()
    return ordered


def _range(array: NDArray[np.float32]) -> tuple[float, float]:
    """Smallest and largest value.

    Raises:
        OperatorError: If one is not finite.
    """
    low, high = float(array.min()), float(array.max())
    if not np.isfinite([low, high]).all():
        raise OperatorError(
            f"the values of a map are finite numbers, {np.count_nonzero(~np.isfinite(array))} are not; "
            "give them a value of their own, such as 0"
        )
    return low, high


def _mapping(quantity: Quantity, low: float, high: float) -> pm.RealWorldValueMapping:
    """Stored values are real world values of this quantity and unit (PS3.3 C.7.6.16.2.11)."""
    mapping = pm.RealWorldValueMapping(
        lut_label=quantity.name[:SHORT_STRING],
        lut_explanation=quantity.concept.meaning[:LONG_STRING],
        unit=quantity.ucum,
        value_range=(low, high),
        slope=1.0,
        intercept=0.0,
        quantity_definition=quantity.concept,
    )
    if quantity.derivation:
        derivation = hd.sr.CodeContentItem(name=codes.DCM.Derivation, value=quantity.derivation)
        mapping.QuantityDefinitionSequence.append(derivation)
    return mapping


def _frame_anatomy(region: Code) -> Dataset:
    """Frame Anatomy (PS3.3 C.7.6.16.2.8), without which dcmqi 1.5.7 crashes."""
    item = Dataset()
    item.AnatomicRegionSequence = [hd.sr.CodedConcept.from_code(region)]
    item.FrameLaterality = "U"
    return item


def _window(low: float, high: float) -> hd.VOILUTTransformation:
    """The window that shows all values."""
    return hd.VOILUTTransformation(
        window_center=(low + high) / 2, window_width=(high - low) or 1.0, voi_lut_function="LINEAR_EXACT"
    )


def _places(values: Volume) -> dict[str, Any]:
    """Where the frames lie, from the affine, in arguments of highdicom."""
    spacing = values.spacing_mm
    column, row = (values.affine_lps[:3, axis] / spacing[axis] for axis in (2, 1))
    return {
        "pixel_measures": hd.PixelMeasuresSequence(
            pixel_spacing=spacing[1:], slice_thickness=spacing[0], spacing_between_slices=spacing[0]
        ),
        "plane_orientation": hd.PlaneOrientationSequence(
            hd.CoordinateSystemNames.PATIENT, (*column.tolist(), *row.tolist())
        ),
        "plane_positions": [
            hd.PlanePositionSequence(hd.CoordinateSystemNames.PATIENT, values.position_lps(index))
            for index in range(len(values.array))
        ],
    }
