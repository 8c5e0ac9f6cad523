"""From values to DICOM objects, pictures and the record of the run."""

from operators.write.derive_identity import DeriveIdentity, DeriveIdentityParameters
from operators.write.report_outcome import ReportOutcome
from operators.write.write_key_image import WriteKeyImage
from operators.write.write_measurement_report import WriteMeasurementReport
from operators.write.write_segmentation import WriteParameters, WriteSegmentation

__all__ = [
    "DeriveIdentity",
    "DeriveIdentityParameters",
    "ReportOutcome",
    "WriteKeyImage",
    "WriteMeasurementReport",
    "WriteParameters",
    "WriteSegmentation",
]
