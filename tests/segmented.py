"""Segmented: CT series with SEGs that highdicom alone builds, as another's program would, and structure sets."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import highdicom as hd
import numpy as np
import SimpleITK
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.sr.codedict import codes as dictionary
from pydicom.sr.coding import Code
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RTStructureSetStorage

from operators.core.findings import FindingCode
from operators.core.identity import derived_uid
from operators.core.manifest import Condition, Criteria, VolumeProperty
from operators.core.pixels import read_volume
from operators.core.segmented_regions import Grid, SegmentedRegions
from operators.core.selection import LoadedFolder, Selection
from operators.core.volume import Volume
from operators.load.load_segmentation import LoadSegmentationParameters, load_segmentation
from operators.load.load_series import load_series
from operators.select.select_segmented_series import select_segmented_series
from tests.builders import ALGORITHM, decimals, make_ct_series

SHAPE = (12, 24, 20)
CRITERIA = Criteria(
    must={VolumeProperty.MODALITY: Condition(any_of=("CT", "MR", "PT"))}, accepts=(FindingCode.NOT_HOUNSFIELD,)
)
"""Those of measure_segmentation."""
PRIVATE_TYPE = Code("LESION-7", "99ELSEWHERE", "Lesion of interest")
TRACKING = {"Kidney": ("kidney 1", "1.2.3.4.5.6.7")}


def blob(shape=SHAPE, centre=(5, 11, 9), radius=(3, 6, 5)) -> np.ndarray:
    """`(slices, rows, columns)`, an ellipsoid of voxels."""
    grid = np.ogrid[tuple(slice(0, n) for n in shape)]
    return sum(((g - c) / r) ** 2 for g, c, r in zip(grid, centre, radius, strict=True)) <= 1


MASKS = {"Kidney": blob(), "Lesion": blob(centre=(6, 12, 12), radius=(2.2, 3.4, 3.2))}
"""They overlap."""


def make_hu(shape=SHAPE) -> np.ndarray:
    """Values that differ from voxel to voxel, in no order."""
    return np.random.default_rng(7).integers(-200, 300, shape).astype(np.int16)


def describe(number: int, label: str, *, tracked=True) -> hd.seg.SegmentDescription:
    """A segment as another's program describes it: right kidneys, lesions in a code of its own."""
    kidney = label.startswith("Kidney")
    identifier, uid = TRACKING.get(label, (None, None)) if tracked else (None, None)
    item = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=dictionary.SCT.AnatomicalStructure if kidney else dictionary.SCT.Tissue,
        segmented_property_type=dictionary.SCT.Kidney if kidney else PRIVATE_TYPE,
        algorithm_type="MANUAL",
        tracking_id=identifier,
        tracking_uid=uid,
    )
    if kidney:
        modifier = hd.sr.CodedConcept.from_code(dictionary.SCT.Right)
        item.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [modifier]
    return item


def make_seg(
    path: Path,
    images: list[Path],
    masks: Mapping[str, np.ndarray] = MASKS,
    *,
    kind="BINARY",
    grid: Grid | None = None,
    tracked=True,
    edit: Callable[[Dataset], object] | None = None,
) -> Path:
    """Write a SEG of masks in the order of the images, or on a grid of its own.

    FRACTIONAL takes probabilities; in a LABELMAP the later of overlapping segments wins.
    """
    sources = [dcmread(image) for image in images]
    pixels = np.stack(list(masks.values()), axis=-1)
    if kind == "LABELMAP":
        labels = np.zeros(pixels.shape[:3], np.uint8)
        for number in range(pixels.shape[3]):
            labels[pixels[..., number] > 0] = number + 1
        pixels = labels
    place = {} if grid is None else _place_of(grid)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        seg = hd.seg.Segmentation(
            source_images=sources,
            pixel_array=pixels.astype(np.float32 if kind == "FRACTIONAL" else np.uint8),
            segmentation_type=kind,
            segment_descriptions=[describe(n, label, tracked=tracked) for n, label in enumerate(masks, start=1)],
            series_instance_uid=derived_uid(f"{path}/series"),
            series_number=9,
            sop_instance_uid=derived_uid(f"{path}/instance"),
            instance_number=1,
            manufacturer="Elsewhere",
            manufacturer_model_name="Reader",
            software_versions="1",
            device_serial_number="1",
            max_fractional_value=200,
            transfer_syntax_uid=ExplicitVRLittleEndian,
            **place,
        )
    scheme = Dataset()
    scheme.CodingSchemeDesignator, scheme.CodingSchemeName = "99ELSEWHERE", "Codes from elsewhere"
    scheme.CodingSchemeResponsibleOrganization = "Elsewhere"
    seg.CodingSchemeIdentificationSequence = [scheme]
    if edit is not None:
        edit(seg)
    path.parent.mkdir(parents=True, exist_ok=True)
    seg.save_as(path)
    return path


def _place_of(grid: Grid) -> dict[str, object]:
    """A grid in arguments of highdicom."""
    slices, rows, columns = np.linalg.norm(grid.affine_lps[:3, :3], axis=0)
    orientation = [*grid.affine_lps[:3, 2] / columns, *grid.affine_lps[:3, 1] / rows]
    return {
        "plane_positions": [
            hd.PlanePositionSequence("PATIENT", tuple(map(float, (grid.affine_lps @ (i, 0, 0, 1))[:3])))
            for i in range(grid.shape[0])
        ],
        "plane_orientation": hd.PlaneOrientationSequence("PATIENT", tuple(map(float, orientation))),
        "pixel_measures": hd.PixelMeasuresSequence((float(rows), float(columns)), float(slices), float(slices)),
    }


def make_structure_set(path: Path, images: list[Path], rois: Mapping[str, list[np.ndarray]]) -> Path:
    """Write contours, `(points, 3)` in mm each, as a planning system does."""
    first = dcmread(images[0])
    header = Dataset()
    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
                    "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"):  # fmt: skip
        header[keyword] = first[keyword]
    header.SOPClassUID, header.SOPInstanceUID = RTStructureSetStorage, derived_uid(f"{path}/rtstruct")
    header.SeriesInstanceUID, header.Modality, header.SeriesNumber = derived_uid(f"{path}/rt"), "RTSTRUCT", 7
    header.StructureSetROISequence, header.ROIContourSequence, header.RTROIObservationsSequence = [], [], []
    for number, (name, contours) in enumerate(rois.items(), start=1):
        roi, contoured, observed = Dataset(), Dataset(), Dataset()
        roi.ROINumber, roi.ROIName, roi.ROIGenerationAlgorithm = number, name, "MANUAL"
        roi.ReferencedFrameOfReferenceUID = first.FrameOfReferenceUID
        contoured.ReferencedROINumber, contoured.ROIDisplayColor = number, [255, 0, 0]
        contoured.ContourSequence = [_contour(points) for points in contours]
        observed.ObservationNumber, observed.ReferencedROINumber = number, number
        observed.RTROIInterpretedType = "GTV"
        header.StructureSetROISequence.append(roi)
        header.ROIContourSequence.append(contoured)
        header.RTROIObservationsSequence.append(observed)
    header.ReferencedFrameOfReferenceSequence = [_referenced(first, images)]
    header.file_meta = FileMetaDataset()
    header.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    header.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path, enforce_file_format=True)
    return path


def _contour(points: np.ndarray) -> Dataset:
    item = Dataset()
    item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
    item.ContourData = decimals(np.asarray(points).ravel())
    return item


def _referenced(first: Dataset, images: list[Path]) -> Dataset:
    frame, study, series = Dataset(), Dataset(), Dataset()
    series.SeriesInstanceUID, series.ContourImageSequence = first.SeriesInstanceUID, []
    for image in images:
        header, item = dcmread(image, stop_before_pixels=True), Dataset()
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = header.SOPClassUID, header.SOPInstanceUID
        series.ContourImageSequence.append(item)
    study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
    study.ReferencedSOPInstanceUID = first.StudyInstanceUID
    study.RTReferencedSeriesSequence = [series]
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = first.FrameOfReferenceUID, [study]
    return frame


def make_study(folder: Path, *, directions=None, spacing_mm=(3.0, 0.8, 0.6), **seg: object) -> Path:
    """A CT series and one SEG of MASKS, in one folder."""
    options = {} if directions is None else {"directions": directions}
    images = make_ct_series(folder / "ct", spacing_mm=spacing_mm, hu=make_hu(), **options)
    make_seg(folder / "seg.dcm", images, **seg)
    return folder


def images_of(folder: Path) -> list[Path]:
    """The CT images of `make_study`."""
    return sorted((folder / "ct").iterdir())


def select(folder: Path) -> tuple[LoadedFolder, Selection]:
    """A folder, and the series that its segmentations refer to."""
    loaded = load_series(folder)
    return loaded, select_segmented_series(loaded, CRITERIA)


def read(folder: Path, threshold=0.5) -> tuple[Volume, SegmentedRegions]:
    """The volume and the regions of a folder."""
    loaded, selection = select(folder)
    parameters = LoadSegmentationParameters(ALGORITHM, threshold)
    return read_volume(selection.volume), load_segmentation(loaded, selection, parameters)


def whole(region, grid: Grid | None = None) -> np.ndarray:
    """A region's mask `(slices, rows, columns)` on its whole grid, or on another one."""
    box = region.box if grid is None else region.on(grid)
    mask = np.zeros(region.grid.shape if grid is None else grid.shape, bool)
    mask[box.slices] = box.mask
    return mask


def sitk_image(array: np.ndarray, affine_lps: np.ndarray) -> SimpleITK.Image:
    """An array as SimpleITK has it: x is columns, y rows, z slices."""
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array))
    axes = affine_lps[:3, [2, 1, 0]]
    spacing = np.linalg.norm(axes, axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine_lps[:3, 3].tolist())
    image.SetDirection((axes / spacing).ravel().tolist())
    return image
