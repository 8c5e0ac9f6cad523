"""choose_writers: the writers of the objects that a run makes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

from operators.core.contract import ObjectKind
from operators.runtime.step import Step
from operators.write.write_key_image import WriteKeyImage
from operators.write.write_measurement_report import ReportParameters, WriteMeasurementReport
from operators.write.write_presentation_state import WritePresentationState
from operators.write.write_report_pdf import ReportPdfParameters, WriteReportPdf
from operators.write.write_rt_structure_set import WriteRTStructureSet
from operators.write.write_secondary_capture import WriteSecondaryCapture
from operators.write.write_segmentation import WriteParameters, WriteSegmentation

if TYPE_CHECKING:
    from collections.abc import Collection

    from operators.runtime.application import MapApplication, RunContext


class OfRun(Protocol):
    """Parameters that a run determines."""

    @classmethod
    def of(cls, context: RunContext) -> Self:
        """Those of a run."""


Writers: TypeAlias = Mapping[ObjectKind, tuple[type[Step], type[OfRun]]]
"""The writer of each kind of object, and its parameters."""

LABEL_MAP_WRITERS: Writers = {
    ObjectKind.SEG: (WriteSegmentation, WriteParameters),
    ObjectKind.SR: (WriteMeasurementReport, ReportParameters),
    ObjectKind.KEY_IMAGE: (WriteKeyImage, WriteParameters),
    ObjectKind.SECONDARY_CAPTURE: (WriteSecondaryCapture, WriteParameters),
    ObjectKind.REPORT_PDF: (WriteReportPdf, ReportPdfParameters),
    ObjectKind.PRESENTATION_STATE: (WritePresentationState, WriteParameters),
    ObjectKind.RT_STRUCTURE_SET: (WriteRTStructureSet, WriteParameters),
}
"""What writes each kind of object from a LabelMap."""


def choose_writers(
    application: MapApplication, writers: Writers = LABEL_MAP_WRITERS, *, without: Collection[str] = ()
) -> list[Any]:
    """The writers of the objects that the run makes: those that the manifest states, where the job does not choose.

    Args:
        application: What the writers are bound to; its `run_context` says which objects are wanted, and where they go.
        writers: Those that the app has.
        without: As in Step.

    Returns:
        One writer an object, in the order of `writers`.

    Raises:
        ValueError: If the manifest states a kind of object that has no writer.

    Examples:
        >>> [str(kind) for kind in LABEL_MAP_WRITERS][:3]
        ['seg', 'sr', 'key_image']
    """
    context = application.run_context
    stated = {part.kind for part in context.manifest.mapnode.outputs}
    if unknown := sorted(stated - writers.keys()):
        raise ValueError(f"the manifest states {', '.join(unknown)}, which the app has no writer for")
    return [
        writer(application, parameters.of(context), without=without)
        for kind, (writer, parameters) in writers.items()
        if kind in context.objects
    ]
