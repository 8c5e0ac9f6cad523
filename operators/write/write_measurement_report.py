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

from operators.core.identity import ResultIdentity
from operators.core.label_map import LabelMap, require_grid_of_headers, require_same_grid
from operators.core.measurements import DerivedValue, KeySlice, SegmentMeasurements
from operators.core.quality import QualityReport
from operators.core.selection import Selection
from operators.core.volume import Volume
from operators.runtime.step import Step
from operators.write.marking import (
    no_names_in_warnings,
    save,
)
from operators.write.rehearsal import IDENTITY, rehearsal_label_map, rehearsal_volume
from operators.write.sr_document import header_items, measurement_items, selection_comments, sr_document
from operators.write.sr_evaluations import absent_item, evaluations, not_computed_item, verdict_items
from operators.write.sr_groups import Context, derived_groups, planar_groups, volumetric_groups
from operators.write.write_segmentation import build_segmentation
from operators.write.written import WrittenFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operators.runtime.application import RunContext
    from operators.write.sr_groups import Group

FILE_NAME = "sr.dcm"


@dataclass(frozen=True)
class ReportParameters:
    """Where the report goes, and which one it supersedes.

    Attributes:
        folder: Output folder, which exists.
        predecessor: Identity of the result whose report this one supersedes, as `Job.predecessor` has it.
    """

    folder: Path
    predecessor: str | None = None

    @classmethod
    def of(cls, context: RunContext) -> ReportParameters:
        """Those of a run."""
        return cls(context.output_folder, context.job.predecessor)


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
    which viewers draw; one TID 1501 group a derived value. What is no number stands in Qualitative Evaluations:
    research status, quality, the series measured, segments that were not found, derived values that were not computed.
    Where the quality holds the numbers back there is neither a group nor a reference to the SEG: verdict, findings and
    comments alone (docs/decisions/0023).

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
        findings = Findings(measurements, quality, derived, key_slices, selection_comments(selection))
        dataset = build_report(volume, label_map, seg.dataset, findings, identity, parameters.predecessor)
        path = parameters.folder / FILE_NAME
        save(dataset, path)
        return WrittenFile(path, dataset, withholds=quality.is_held)


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
        seg: The SEG of the label map; a report that holds the numbers back does not refer to it.
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
    evidence = [] if findings.quality.is_held else [seg]
    content = _content(volume, label_map, seg, findings, identity)
    return sr_document(volume, evidence, label_map.algorithm, identity, content, predecessor)


def _content(
    volume: Volume, label_map: LabelMap, seg: Dataset, findings: Findings, identity: ResultIdentity
) -> sr.ContentSequence:
    """What the root contains (TID 1500).

    highdicom's class for it knows no Qualitative Evaluations and no report without measurements.
    """
    context = Context(label_map.algorithm, identity)
    content = header_items(volume, label_map.algorithm)
    content.extend(measurement_items(_groups(volume, label_map, seg, findings, context)))
    content.append(evaluations(_evaluations(label_map, findings), context.algorithm_id))
    return content


def _groups(volume: Volume, label_map: LabelMap, seg: Dataset, findings: Findings, context: Context) -> Iterator[Group]:
    """The measurement groups, in the order in which they are read; none where the numbers are held back."""
    if findings.quality.is_held:
        return
    yield from volumetric_groups(volume, label_map, seg, findings.measurements, context)
    yield from derived_groups(volume, label_map, findings.derived, context)
    yield from planar_groups(volume, label_map, findings.key_slices, context)


def _evaluations(label_map: LabelMap, findings: Findings) -> Iterator[sr.CodeContentItem | sr.TextContentItem]:
    """All that is no number, in the order in which it is read."""
    yield from verdict_items(findings.quality, findings.comments)
    if findings.quality.is_held:
        return
    yield from (absent_item(label_map.segment(m.segment_name)) for m in findings.measurements if not m.voxels)
    yield from (not_computed_item(value) for value in findings.derived if value.value is None)
