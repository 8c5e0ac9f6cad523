"""WriteMeasurementReport: measurements as Comprehensive 3D SR, TID 1500 (PS3.16).

The groups of the report are in operators/write/sr_groups.py; docs/conformance/measurement-report.md lists them.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes as dictionary
from pydicom.uid import Comprehensive3DSRStorage

from operators.core import codes, defaults
from operators.core.identity import ResultIdentity, derived_uid
from operators.core.label_map import LabelMap, require_grid_of_headers, require_same_grid
from operators.core.measurements import DerivedValue, KeySlice, SegmentMeasurements
from operators.core.quality import QualityReport
from operators.core.selection import Selection
from operators.core.volume import Volume
from operators.runtime.step import Step
from operators.write.marking import (
    contributing_equipment,
    device_uid,
    first_source_header,
    no_names_in_warnings,
    save,
    series_description,
    stamp,
)
from operators.write.rehearsal import IDENTITY, rehearsal_label_map, rehearsal_volume
from operators.write.sr_groups import (
    Context,
    absent_group,
    derived_group,
    planar_groups,
    remarks_group,
    volumetric_groups,
)
from operators.write.stand_ins import put_references_to
from operators.write.write_segmentation import build_segmentation
from operators.write.written import WrittenFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from operators.core.label_map import Algorithm
    from operators.write.sr_groups import Group

FILE_NAME = "sr.dcm"
INSTANCE_ROLE, SERIES_ROLE = "sr/instance", "sr/series"
"""Roles that the report's UIDs derive from, its predecessor's too."""


@dataclass(frozen=True)
class ReportParameters:
    """Where the report goes, and which one it supersedes.

    Attributes:
        folder: Output folder, which exists.
        predecessor: Identity of the result whose report this one supersedes, as `Job.predecessor` has it.
    """

    folder: Path
    predecessor: str | None = None


@dataclass(frozen=True)
class Findings:
    """Everything that a report says.

    Attributes:
        measurements: Numbers by segment.
        derived: Numbers computed from them.
        key_slices: Numbers by segment and slice, which are drawn on the images.
        quality: Whether the numbers may be used.
        comments: Sentences for the reader.
    """

    measurements: tuple[SegmentMeasurements, ...]
    quality: QualityReport
    derived: tuple[DerivedValue, ...] = ()
    key_slices: tuple[KeySlice, ...] = ()
    comments: tuple[str, ...] = ()


class WriteMeasurementReport(Step):
    """Write the measurements of a label map as one Comprehensive 3D SR in the source's study.

    One TID 1411 group a segment that was found, which references the SEG's segment; one TID 1410 group a key slice,
    which viewers draw; one TID 1501 group a derived value, one a segment that was not found, and one with what a reader
    has to know: research status, quality, the series measured.

    Named Input:
        volume: Volume, the source.
        label_map: LabelMap that was measured.
        seg: WrittenFile with the SEG of that label map.
        measurements: tuple of SegmentMeasurements.
        quality: QualityReport.
        selection: Selection.
        identity: ResultIdentity.
        derived: tuple of DerivedValue; an app may have none.
        key_slices: tuple of KeySlice; an app may have none.

    Named Output:
        sr: WrittenFile with Comprehensive 3D SR Storage 1.2.840.10008.5.1.4.1.1.88.34.

    Raises GeometryError where the label map does not lie on the images that the report would draw on.
    """

    inputs: ClassVar[tuple[str, ...]] = (
        "volume", "label_map", "seg", "measurements", "quality", "selection", "identity", "derived", "key_slices",
    )  # fmt: skip
    output: ClassVar[str] = "sr"
    share: ClassVar[float] = 2.0

    @classmethod
    def prepare(cls, model: Path | None) -> None:
        """Rehearse."""
        volume = rehearsal_volume()
        label_map = rehearsal_label_map(volume)
        seg = build_segmentation(volume, label_map, IDENTITY)
        findings = Findings((SegmentMeasurements(label_map.segments[0].name, 1, ()),), QualityReport(()))
        with tempfile.TemporaryDirectory() as folder:
            save(build_report(volume, label_map, seg, findings, IDENTITY), Path(folder) / FILE_NAME)

    def process(
        self,
        volume: Volume,
        label_map: LabelMap,
        seg: WrittenFile,
        measurements: tuple[SegmentMeasurements, ...],
        quality: QualityReport,
        selection: Selection,
        identity: ResultIdentity,
        derived: tuple[DerivedValue, ...] = (),
        key_slices: tuple[KeySlice, ...] = (),
    ) -> WrittenFile:
        """Build and save."""
        parameters: ReportParameters = self.parameters
        assert seg.dataset is not None
        findings = Findings(measurements, quality, derived, key_slices, _comments(selection))
        dataset = build_report(volume, label_map, seg.dataset, findings, identity, parameters.predecessor)
        path = parameters.folder / FILE_NAME
        save(dataset, path)
        return WrittenFile(path, dataset)


@no_names_in_warnings()
def build_report(
    volume: Volume,
    label_map: LabelMap,
    seg: Dataset,
    findings: Findings,
    identity: ResultIdentity,
    predecessor: str | None = None,
) -> sr.Comprehensive3DSR:
    """A TID 1500 report of measurements that reference a SEG.

    Args:
        volume: The source; all its instances are evidence.
        label_map: Labels that were measured.
        seg: The SEG of the label map.
        findings: What the report says.
        identity: UIDs and clock derive from it.
        predecessor: Identity of the result whose report is superseded.

    Returns:
        The data set: complete, unverified, preliminary.

    Raises:
        GeometryError: If the label map does not lie on the images.
    """
    require_same_grid(volume, label_map)
    require_grid_of_headers(volume, label_map)
    algorithm = label_map.algorithm
    study_uid = volume.slices[0].header.StudyInstanceUID
    dataset = sr.Comprehensive3DSR(
        evidence=[*_evidence(volume, findings.key_slices), seg],
        content=_content(volume, label_map, seg, findings, identity),
        series_instance_uid=identity.uid(SERIES_ROLE),
        series_number=defaults.SR_SERIES_NUMBER,
        sop_instance_uid=identity.uid(INSTANCE_ROLE),
        instance_number=1,
        manufacturer=defaults.MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        previous_versions=[_superseded(predecessor, study_uid)] if predecessor else None,
        contributing_equipment=[contributing_equipment(algorithm, identity)],
    )
    dataset.ManufacturerModelName = algorithm.name
    dataset.SoftwareVersions = algorithm.version
    dataset.DeviceSerialNumber = algorithm.digest[:16]
    dataset.CodingSchemeIdentificationSequence = [_private_scheme()]
    _put_evidence(dataset, volume)
    stamp(dataset, identity, series_description("SR", identity))
    return dataset


def _evidence(volume: Volume, key_slices: Iterable[KeySlice]) -> list[Dataset]:
    """As much evidence as highdicom needs: one header as a whole, one instance a series, and what is drawn on."""
    first = first_source_header(volume)
    one_a_series = {str(source.header.SeriesInstanceUID): source.header for source in reversed(volume.slices)}
    drawn_on = (volume.slices[row.index].header for row in key_slices)
    return [first, *reversed(one_a_series.values()), *drawn_on]


def _put_evidence(dataset: Dataset, volume: Volume) -> None:
    """List all instances of the source as evidence, in the order of the slices (PS3.3 C.17.2.3)."""
    for study in dataset.CurrentRequestedProcedureEvidenceSequence:
        for series in study.ReferencedSeriesSequence:
            of_series = [s for s in volume.slices if s.header.SeriesInstanceUID == series.SeriesInstanceUID]
            if of_series:
                put_references_to(series, "ReferencedSOPSequence", of_series, frames=False)


def _content(
    volume: Volume, label_map: LabelMap, seg: Dataset, findings: Findings, identity: ResultIdentity
) -> sr.MeasurementReport:
    """The document's content (TID 1500)."""
    return sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_observer(label_map.algorithm)),
        procedure_reported=codes.COMPUTED_TOMOGRAPHY,
        imaging_measurements=list(_groups(volume, label_map, seg, findings, identity)),
        title=dictionary.DCM.ImagingMeasurementReport,
    )


def _groups(
    volume: Volume, label_map: LabelMap, seg: Dataset, findings: Findings, identity: ResultIdentity
) -> Iterator[Group]:
    """The measurement groups, in the order in which they are read."""
    context = Context(label_map.algorithm, identity)
    measurements = findings.measurements
    series_uid = str(volume.slices[0].header.SeriesInstanceUID)
    yield from volumetric_groups(label_map, seg, measurements, series_uid, context)
    yield from (derived_group(value, context) for value in findings.derived)
    yield from planar_groups(volume, label_map, measurements, findings.key_slices, context)
    yield from (absent_group(label_map.segment(m.segment_name), context) for m in measurements if not m.voxels)
    yield remarks_group(findings.quality, findings.comments, context)


def _observer(algorithm: Algorithm) -> sr.ObserverContext:
    """The algorithm as device observer (TID 1004)."""
    return sr.ObserverContext(
        observer_type=dictionary.DCM.Device,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=device_uid(algorithm),
            name=algorithm.name,
            manufacturer_name=defaults.MANUFACTURER,
            model_name=algorithm.name,
            serial_number=algorithm.digest[:16],
        ),
    )


def _superseded(predecessor: str, study_uid: str) -> Dataset:
    """What Predecessor Documents Sequence (0040,A360) says of the superseded report, in the same study."""
    report = Dataset()
    report.SOPClassUID = Comprehensive3DSRStorage
    report.StudyInstanceUID = study_uid
    report.SeriesInstanceUID = derived_uid(f"{predecessor}/{SERIES_ROLE}")
    report.SOPInstanceUID = derived_uid(f"{predecessor}/{INSTANCE_ROLE}")
    return report


def _private_scheme() -> Dataset:
    """Item of Coding Scheme Identification Sequence (0008,0110) for our codes (PS3.3 C.12.1)."""
    item = Dataset()
    item.CodingSchemeDesignator = codes.PRIVATE_SCHEME
    item.CodingSchemeName = "mapnode private codes"
    item.CodingSchemeResponsibleOrganization = defaults.MANUFACTURER
    return item


def _comments(selection: Selection) -> tuple[str, ...]:
    """Research status, and why this series."""
    chosen = selection.chosen
    which = f" ({chosen.volume})" if chosen.volume else ""
    return (
        defaults.RESEARCH_STATUS,
        # Nothing here may depend on what else lies in the folder: the UIDs do not.
        f"Series measured: {chosen.series_instance_uid}{which}, {len(selection.volume.frames)} images; "
        f"it meets the app's criteria with a score of {chosen.score:g}.",
    )
