"""Findings: what is wrong with an input, as coded data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FindingCode(StrEnum):
    """What can be wrong with a folder, a series or an instance."""

    NO_DICOM = "no_dicom"
    """The folder holds no DICOM file at all."""
    BROKEN_FILE = "broken_file"
    """A file says that it is DICOM, but its data set cannot be parsed."""
    MISSING_ATTRIBUTE = "missing_attribute"
    """An attribute without which an instance cannot be placed is absent or empty."""
    INVALID_ATTRIBUTE = "invalid_attribute"
    """An attribute's value cannot be: not a number, not positive, not orthogonal."""
    DUPLICATE_INSTANCE = "duplicate_instance"
    """Two files carry the same SOP Instance UID."""
    MIXED_PATIENT = "mixed_patient"
    """One series, more than one Patient ID."""
    MIXED_STUDY = "mixed_study"
    """One series, more than one Study Instance UID."""
    MIXED_FRAME_OF_REFERENCE = "mixed_frame_of_reference"
    """One series, more than one Frame of Reference UID."""
    UNSUPPORTED_OBJECT = "unsupported_object"
    """No image that a volume could be made of: a report, a segmentation, a plan."""
    TWO_DIMENSIONAL = "two_dimensional"
    """A projection or photograph: it has no place in the patient."""
    COLOUR = "colour"
    """More than one sample a pixel, or a palette: no scalar volume."""
    NOT_HOUNSFIELD = "not_hounsfield"
    """CT whose Rescale Type says that its values are no Hounsfield units."""
    UNREADABLE_FRAMES = "unreadable_frames"
    """The frames of a multi-frame image or a mosaic cannot be told apart."""
    UNCERTAIN_MOSAIC = "uncertain_mosaic"
    """A mosaic that does not say how many of its tiles are slices, or which way they run."""
    SEVERAL_VOLUMES = "several_volumes"
    """The series holds several volumes: points in time, echoes, b-values, stacks."""
    TOO_LARGE = "too_large"
    """The volume would not fit into any memory: a damaged or hostile header."""
    LOCALIZER = "localizer"
    """A localizer lies among the images of the series; it is no part of their volume."""
    MIXED_ORIENTATION = "mixed_orientation"
    """More than one Image Orientation (Patient)."""
    MIXED_SPACING = "mixed_spacing"
    """More than one Pixel Spacing."""
    MIXED_MATRIX = "mixed_matrix"
    """More than one number of Rows or Columns."""
    DUPLICATE_POSITION = "duplicate_position"
    """Two images at the same position."""
    MISSING_SLICES = "missing_slices"
    """A gap that is a multiple of the others: slices have not arrived or were deleted."""
    VARIABLE_SPACING = "variable_spacing"
    """The distances between the slices differ."""
    GANTRY_TILT = "gantry_tilt"
    """The slices are shifted against each other: the stack is sheared."""
    TOO_FEW_SLICES = "too_few_slices"
    """Fewer than two positions make no volume."""
    MIXED_CONTENT = "mixed_content"
    """Slices of one volume that were made differently: another echo, kernel, voltage, b-value."""
    UNFIT_SEGMENTATION = "unfit_segmentation"
    """A Segmentation or RT Structure Set that is to be measured does not fit its images, or contradicts itself."""
    UNDECODABLE_PIXELS = "undecodable_pixels"
    """The pixel data cannot be decoded, or is not as long as the header says."""


@dataclass(frozen=True)
class Finding:
    """One finding.

    Attributes:
        code: What was found.
        message: The rule, the value met and the way out, without patient data.
        instances: SOP Instance UIDs concerned, in order of position where there is one.
        files: Names of the files concerned, where UIDs would not tell.
    """

    code: FindingCode
    message: str
    instances: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """The finding as one line for a person."""
        return f"{self.code}: {self.message}"
