"""From values to DICOM objects, pictures and the record of the run."""

from operators.write.choose_writers import LABEL_MAP_WRITERS, Writers, choose_writers
from operators.write.derive_identity import DeriveIdentity, DeriveIdentityParameters
from operators.write.report_outcome import ReportOutcome
from operators.write.write_contoured_segmentation import WriteContouredSegmentation
from operators.write.write_key_image import WriteKeyImage
from operators.write.write_measurement_report import ReportParameters, WriteMeasurementReport
from operators.write.write_parametric_map import ParametricMapParameters, WriteParametricMap
from operators.write.write_presentation_state import WritePresentationState
from operators.write.write_report_pdf import ReportPdfParameters, WriteReportPdf
from operators.write.write_rt_structure_set import WriteRTStructureSet
from operators.write.write_secondary_capture import WriteSecondaryCapture
from operators.write.write_segment_report import WriteSegmentReport
from operators.write.write_segmentation import SegmentationType, WriteParameters, WriteSegmentation

__all__ = [
    "LABEL_MAP_WRITERS",
    "DeriveIdentity",
    "DeriveIdentityParameters",
    "ParametricMapParameters",
    "ReportOutcome",
    "ReportParameters",
    "ReportPdfParameters",
    "SegmentationType",
    "WriteContouredSegmentation",
    "WriteKeyImage",
    "WriteMeasurementReport",
    "WriteParameters",
    "WriteParametricMap",
    "WritePresentationState",
    "WriteRTStructureSet",
    "WriteReportPdf",
    "WriteSecondaryCapture",
    "WriteSegmentReport",
    "WriteSegmentation",
    "Writers",
    "choose_writers",
]
