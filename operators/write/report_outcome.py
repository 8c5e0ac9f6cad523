"""ReportOutcome: the end of every path: hand numbers, quality and files to the record of the run."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from operators.core.contract import (
    Coded,
    DerivedRecord,
    KeySliceRecord,
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
from operators.core.measurements import DerivedValue, KeySlice, SegmentMeasurements, SliceAreas
from operators.core.quality import QualityReport
from operators.core.segmented_regions import SegmentedRegions
from operators.core.selection import LoadedFolder, Selection
from operators.runtime.outcome import Outcome
from operators.runtime.step import Step
from operators.write.written import WrittenFile

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from pydicom.sr.coding import Code

    from operators.core.label_map import Segment
    from operators.core.measurements import Measurement
    from operators.runtime.sdk import Fragment


class ReportOutcome(Step):
    """Hand what the run found to its record, from which result.json is written.

    Of a result that is held back the record has the verdict and its reasons, neither numbers nor files with numbers or
    masks: those are removed here, whatever wrote them (docs/decisions/0023).

    Besides the ports below it takes a WrittenFile on a port for each file that the run may write, None for one that it
    did not.

    Named Input:
        folder: LoadedFolder, for the files that were skipped.
        selection: Selection.
        label_map: LabelMap or SegmentedRegions, for the codes of its segments.
        measurements: tuple of SegmentMeasurements.
        quality: QualityReport.
        identity: ResultIdentity.
        derived: tuple of DerivedValue; an app may have none.
        key_slices: tuple of KeySlice; an app may have none.
        slice_areas: tuple of SliceAreas; an app may have none.
    """

    inputs: ClassVar[tuple[str, ...]] = (
        "folder", "selection", "label_map", "measurements", "quality", "identity", "derived", "key_slices",
        "slice_areas",
    )  # fmt: skip

    def __init__(
        self, fragment: Fragment, parameters: Outcome, files: Iterable[str] = (), *, without: Collection[str] = ()
    ) -> None:
        """Bind the step to an application.

        Args:
            fragment: The application.
            parameters: The record to fill.
            files: Names of the ports on which files come, in the order of the record.
            without: As in Step.
        """
        super().__init__(fragment, parameters, more_inputs=files, without=without)

    def process(
        self,
        folder: LoadedFolder,
        selection: Selection,
        label_map: LabelMap | SegmentedRegions,
        measurements: tuple[SegmentMeasurements, ...],
        quality: QualityReport,
        identity: ResultIdentity,
        derived: tuple[DerivedValue, ...] = (),
        key_slices: tuple[KeySlice, ...] = (),
        slice_areas: tuple[SliceAreas, ...] = (),
        **files: WrittenFile | None,
    ) -> None:
        """Fill the record."""
        outcome: Outcome = self.parameters
        written = [file for file in files.values() if file is not None]
        outcome.fields.update(
            identity=identity.sha256,
            clock=identity.clock.isoformat(),
            skipped_files=tuple(
                Reason(code="skipped", message=file.reason, files=(file.name,)) for file in folder.skipped
            ),
            selection=_selection(selection),
            quality=_quality(quality),
        )
        if quality.is_held:
            outcome.fields.update(outputs=_outputs(_withheld(written)))
            return
        outcome.fields.update(
            outputs=_outputs(written),
            measurements=_measurements(measurements, label_map),
            derived=tuple(map(_derived, derived)),
            key_slices=tuple(map(_key_slice, key_slices)),
            slices=tuple(map(_slice, slice_areas)),
        )


def _selection(selection: Selection) -> tuple[SelectionRecord, ...]:
    return tuple(
        SelectionRecord(
            series_instance_uid=candidate.series_instance_uid,
            description=candidate.description,
            volume=candidate.volume,
            selected=candidate == selection.chosen,
            score=candidate.score,
            reasons=candidate.reasons,
        )
        for candidate in selection.candidates
    )


def _quality(quality: QualityReport) -> Quality:
    return Quality(
        verdict=quality.verdict,
        findings=tuple(
            QualityFindingRecord(code=f.code, message=f.message, severity=f.severity) for f in quality.findings
        ),
        not_checked=quality.not_checked,
        features={} if quality.is_held else dict(quality.features),
    )


def _withheld(files: Iterable[WrittenFile]) -> list[WrittenFile]:
    """The files that may leave a result that is held back; all others are removed."""
    files = tuple(files)
    for file in files:
        if not file.withholds:
            file.path.unlink(missing_ok=True)
    return [file for file in files if file.withholds]


def _outputs(files: Iterable[WrittenFile]) -> tuple[Output, ...]:
    return tuple(file.record for file in files)


def _measurements(
    measured: Iterable[SegmentMeasurements], label_map: LabelMap | SegmentedRegions
) -> tuple[MeasurementRecord, ...]:
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


def _derived(value: DerivedValue) -> DerivedRecord:
    quantity = value.quantity
    return DerivedRecord(
        name=quantity.name,
        label=value.label,
        segments=value.segment_names,
        definition=value.definition,
        unit=quantity.unit,
        value=value.value,
        reason=value.reason or None,
        reason_code=value.reason_code,
        level=value.level,
        codes={"concept": _coded(quantity.concept), "unit": _coded(quantity.ucum)},
    )


def _key_slice(row: KeySlice) -> KeySliceRecord:
    return KeySliceRecord(
        segment=row.segment_name,
        role=row.role,
        index=row.index,
        sop_instance_uid=row.sop_instance_uid,
        values={value.quantity.name: value.value for value in row.values},
    )


def _slice(areas: SliceAreas) -> SliceRecord:
    return SliceRecord(
        index=areas.index,
        sop_instance_uid=areas.sop_instance_uid,
        position_mm=areas.position_mm,
        area_cm2=areas.area_cm2,
        left_cm2=areas.left_cm2 or None,
        right_cm2=areas.right_cm2 or None,
    )


def _coded(code: Code) -> Coded:
    return Coded(value=code.value, scheme=code.scheme_designator, meaning=code.meaning)
