"""ReportOutcome: the end of every path: hand numbers, quality and files to the record of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from operators.core.contract import (
    Coded,
    MeasurementRecord,
    Output,
    Quality,
    QualityFindingRecord,
    Reason,
    SelectionRecord,
    SliceRecord,
)
from operators.core.identity import ResultIdentity
from operators.core.label_map import LabelMap
from operators.core.measurements import SegmentMeasurements, SliceAreas
from operators.core.quality import QualityReport
from operators.core.selection import LoadedFolder, Selection
from operators.runtime.outcome import Outcome
from operators.runtime.step import Step
from operators.write.written import WrittenFile

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydicom.sr.coding import Code

    from operators.core.label_map import Segment
    from operators.core.measurements import Measurement


class ReportOutcome(Step):
    """Hand what the run found to its record, from which result.json is written.

    Named Input:
        folder: LoadedFolder, for the files that were skipped.
        selection: Selection.
        label_map: LabelMap, for the codes of its segments.
        measurements: tuple of SegmentMeasurements.
        slice_areas: tuple of SliceAreas.
        quality: QualityReport.
        identity: ResultIdentity.
        seg, sr, key_image: WrittenFile.
    """

    inputs: ClassVar[tuple[str, ...]] = (
        "folder", "selection", "label_map", "measurements", "slice_areas", "quality", "identity",
        "seg", "sr", "key_image",
    )  # fmt: skip

    def process(
        self,
        folder: LoadedFolder,
        selection: Selection,
        label_map: LabelMap,
        measurements: tuple[SegmentMeasurements, ...],
        slice_areas: tuple[SliceAreas, ...],
        quality: QualityReport,
        identity: ResultIdentity,
        seg: WrittenFile,
        sr: WrittenFile,
        key_image: WrittenFile,
    ) -> None:
        """Fill the record."""
        outcome: Outcome = self.parameters
        outcome.fields.update(
            identity=identity.sha256,
            clock=identity.clock.isoformat(),
            skipped_files=tuple(
                Reason(code="skipped", message=file.reason, files=(file.name,)) for file in folder.skipped
            ),
            selection=_selection(selection),
            outputs=_outputs((seg, sr, key_image)),
            measurements=_measurements(measurements, label_map),
            slices=tuple(
                SliceRecord(
                    index=a.index,
                    sop_instance_uid=a.sop_instance_uid,
                    position_mm=a.position_mm,
                    area_cm2={name: round(value, 6) for name, value in a.area_cm2.items()},
                )
                for a in slice_areas
            ),
            quality=Quality(
                verdict=quality.verdict,
                findings=tuple(QualityFindingRecord(code=f.code, message=f.message) for f in quality.findings),
            ),
        )


def _selection(selection: Selection) -> tuple[SelectionRecord, ...]:
    return tuple(
        SelectionRecord(
            series_instance_uid=candidate.series_instance_uid,
            description=candidate.description,
            selected=candidate.series_instance_uid == selection.series.series.uid,
            score=candidate.score,
            reasons=candidate.reasons,
        )
        for candidate in selection.candidates
    )


def _outputs(files: Iterable[WrittenFile]) -> tuple[Output, ...]:
    return tuple(file.record for file in files)


def _measurements(measured: Iterable[SegmentMeasurements], label_map: LabelMap) -> tuple[MeasurementRecord, ...]:
    return tuple(
        _measurement(value, label_map.segment(of_segment.segment_name))
        for of_segment in measured
        for value in of_segment.values
    )


def _measurement(measurement: Measurement, segment: Segment) -> MeasurementRecord:
    quantity = measurement.quantity
    coded = {"segment": segment.type, "region": segment.region, "concept": quantity.concept}
    coded |= {"derivation": quantity.derivation, "unit": quantity.ucum}
    return MeasurementRecord(
        segment=segment.name,
        name=quantity.name,
        value=measurement.value,
        unit=quantity.unit,
        codes={key: _coded(code) for key, code in coded.items() if code is not None},
    )


def _coded(code: Code) -> Coded:
    return Coded(value=code.value, scheme=code.scheme_designator, meaning=code.meaning)
