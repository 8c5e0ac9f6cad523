"""WriteMeasurementReport: measurements as Comprehensive 3D SR, TID 1500 (PS3.16)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from highdicom import sr
from pydicom.sr.codedict import codes as dictionary

from operators.core import codes, defaults
from operators.core.identity import ResultIdentity
from operators.core.label_map import LabelMap
from operators.core.measurements import SegmentMeasurements
from operators.core.quality import QualityReport
from operators.core.selection import Selection
from operators.core.volume import Volume
from operators.runtime.step import Step
from operators.write.marking import (
    contributing_equipment,
    device_uid,
    no_names_in_warnings,
    save,
    series_description,
    source_headers,
    stamp,
)
from operators.write.write_segmentation import WriteParameters, found_segments, tracking_id, tracking_uid
from operators.write.written import WrittenFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydicom import Dataset

    from operators.core.label_map import Segment
    from operators.core.measurements import Measurement

FILE_NAME = "sr.dcm"


class WriteMeasurementReport(Step):
    """Write the measurements of a label map as one Comprehensive 3D SR in the source's study.

    One TID 1411 group a segment that was found, which references the SEG's segment; one TID 1501 group with what a
    reader has to know: research status, quality, the series measured, segments that were not found.

    Named Input:
        volume: Volume, the source.
        label_map: LabelMap that was measured.
        seg: WrittenFile with the SEG of that label map.
        measurements: tuple of SegmentMeasurements.
        quality: QualityReport.
        selection: Selection.
        identity: ResultIdentity.

    Named Output:
        sr: WrittenFile with Comprehensive 3D SR Storage 1.2.840.10008.5.1.4.1.1.88.34.
    """

    inputs: ClassVar[tuple[str, ...]] = (
        "volume", "label_map", "seg", "measurements", "quality", "selection", "identity",
    )  # fmt: skip
    output: ClassVar[str] = "sr"
    share: ClassVar[float] = 2.0

    def process(
        self,
        volume: Volume,
        label_map: LabelMap,
        seg: WrittenFile,
        measurements: tuple[SegmentMeasurements, ...],
        quality: QualityReport,
        selection: Selection,
        identity: ResultIdentity,
    ) -> WrittenFile:
        """Build and save."""
        parameters: WriteParameters = self.parameters
        assert seg.dataset is not None
        comments = _comments(measurements, label_map, quality, selection)
        dataset = build_report(volume, label_map, seg.dataset, measurements, comments, identity)
        path = parameters.folder / FILE_NAME
        save(dataset, path)
        return WrittenFile(path, dataset)


@no_names_in_warnings()
def build_report(
    volume: Volume,
    label_map: LabelMap,
    seg: Dataset,
    measurements: Sequence[SegmentMeasurements],
    comments: Sequence[str],
    identity: ResultIdentity,
) -> sr.Comprehensive3DSR:
    """A TID 1500 report of measurements that reference a SEG.

    Args:
        volume: The source; all its instances are evidence.
        label_map: Labels that were measured.
        seg: The SEG of the label map.
        measurements: Numbers by segment.
        comments: Sentences for the reader.
        identity: UIDs and clock derive from it.

    Returns:
        The data set: complete, unverified, preliminary.
    """
    algorithm = label_map.algorithm
    headers = source_headers(volume)
    groups = _volumetric_groups(label_map, seg, measurements, identity, headers[0].SeriesInstanceUID)
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_observer(label_map)),
        procedure_reported=codes.COMPUTED_TOMOGRAPHY,
        imaging_measurements=[*groups, _remarks(label_map, comments, identity)],
        title=dictionary.DCM.ImagingMeasurementReport,
    )
    dataset = sr.Comprehensive3DSR(
        evidence=[*headers, seg],
        content=content,
        series_instance_uid=identity.uid("sr/series"),
        series_number=defaults.SR_SERIES_NUMBER,
        sop_instance_uid=identity.uid("sr/instance"),
        instance_number=1,
        manufacturer=defaults.MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        contributing_equipment=[contributing_equipment(algorithm, identity)],
    )
    dataset.ManufacturerModelName = algorithm.name
    dataset.SoftwareVersions = algorithm.version
    dataset.DeviceSerialNumber = algorithm.digest[:16]
    stamp(dataset, identity, series_description("SR", identity))
    return dataset


def _observer(label_map: LabelMap) -> sr.ObserverContext:
    """The algorithm as device observer (TID 1004)."""
    algorithm = label_map.algorithm
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


def _algorithm_id(label_map: LabelMap) -> sr.AlgorithmIdentification:
    """TID 4019."""
    algorithm = label_map.algorithm
    return sr.AlgorithmIdentification(
        name=algorithm.name,
        version=algorithm.version,
        family=algorithm.family,
        manufacturer=defaults.MANUFACTURER,
        parameters=[f"model digest {algorithm.digest}"],
    )


def _volumetric_groups(
    label_map: LabelMap,
    seg: Dataset,
    measurements: Sequence[SegmentMeasurements],
    identity: ResultIdentity,
    series_instance_uid: str,
) -> list[sr.VolumetricROIMeasurementsAndQualitativeEvaluations]:
    """One TID 1411 group for each segment that is in the SEG."""
    by_name = {measured.segment_name: measured for measured in measurements}
    return [
        sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=_tracking(segment, identity),
            referenced_segment=sr.ReferencedSegment(
                sop_class_uid=seg.SOPClassUID,
                sop_instance_uid=seg.SOPInstanceUID,
                segment_number=number,
                source_series=sr.SourceSeriesForSegmentation(series_instance_uid),
            ),
            finding_category=segment.category,
            finding_type=segment.type,
            finding_sites=[sr.FindingSite(segment.region)] if segment.region else None,
            algorithm_id=_algorithm_id(label_map),
            measurements=[_measurement(m) for m in by_name[segment.name].values],
        )
        for number, segment in enumerate(found_segments(label_map), start=1)
    ]


def _tracking(segment: Segment, identity: ResultIdentity) -> sr.TrackingIdentifier:
    return sr.TrackingIdentifier(uid=tracking_uid(segment, identity), identifier=tracking_id(segment, identity))


def _measurement(measurement: Measurement) -> sr.Measurement:
    """TID 300."""
    quantity = measurement.quantity
    return sr.Measurement(
        name=quantity.concept, value=measurement.value, unit=quantity.ucum, derivation=quantity.derivation
    )


def _remarks(
    label_map: LabelMap, comments: Sequence[str], identity: ResultIdentity
) -> sr.MeasurementsAndQualitativeEvaluations:
    """A TID 1501 group whose comments (121106, DCM) a reader has to know; the template may be extended by them."""
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=identity.uid("tracking/remarks"), identifier=f"{identity.app}/remarks"
        ),
        finding_type=codes.IMAGE_QUALITY_ANALYSIS,
        algorithm_id=_algorithm_id(label_map),
    )
    for comment in comments:
        group[0].ContentSequence.append(
            sr.TextContentItem(name=codes.COMMENT, value=comment, relationship_type=sr.RelationshipTypeValues.CONTAINS)
        )
    return group


def _comments(
    measurements: Sequence[SegmentMeasurements], label_map: LabelMap, quality: QualityReport, selection: Selection
) -> list[str]:
    """Research status, quality, what was not found, why this series."""
    labels = {segment.name: segment.label for segment in label_map.segments}
    chosen = selection.series
    return [
        defaults.RESEARCH_STATUS,
        f"Quality verdict: {quality.verdict}.",
        *(finding.message for finding in quality.findings),
        *(f"{labels[m.segment_name]}: not found." for m in measurements if m.voxels == 0),
        # Nothing here may depend on what else lies in the folder: the UIDs do not.
        f"Series measured: {chosen.series.uid}, {len(chosen.instances)} images.",
    ]
