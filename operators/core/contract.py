"""The contract between an app and whoever runs it.

In: a folder of DICOM files, and optionally the environment variable MAPNODE_JOB (JSON, `Job`).
Out: DICOM files and result.json (`Result`) in the output folder; progress as JSON lines (`Progress`) on stdout;
the exit code (`ExitCode`). Docs: docs/architecture.md, "The runner contract".
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, NaiveDatetime

from operators.core.exit_code import ExitCode as ExitCode

JOB_VARIABLE = "MAPNODE_JOB"
RESULT_NAME = "result.json"


class Status(StrEnum):
    """How a run ended."""

    DONE = "done"
    NOT_APPLICABLE = "not_applicable"
    REFUSED = "refused"
    FAILED = "failed"


EXIT_CODES = {
    Status.DONE: ExitCode.DONE,
    Status.NOT_APPLICABLE: ExitCode.NOT_APPLICABLE,
    Status.REFUSED: ExitCode.REFUSED,
    Status.FAILED: ExitCode.DEFECT,
}


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ObjectKind(StrEnum):
    """What an app can make of its results."""

    SEG = "seg"
    """Segmentation."""
    SR = "sr"
    """Comprehensive 3D SR."""
    KEY_IMAGE = "key_image"
    """PNG, for people and programs outside the PACS."""
    SECONDARY_CAPTURE = "secondary_capture"
    """The same picture as a DICOM image."""
    REPORT_PDF = "report_pdf"
    """One page as Encapsulated PDF."""
    PRESENTATION_STATE = "presentation_state"
    """Outlines and values over the source's images (GSPS)."""
    RT_STRUCTURE_SET = "rt_structure_set"
    """Contours of every slice."""


class Job(_Record):
    """What a node says of the job; without it the app derives identity and clock from its input."""

    version: Literal[1] = 1
    identity: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """SHA-256 that UIDs derive from."""
    predecessor: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    """Identity of the result that this one supersedes."""
    clock: NaiveDatetime | None = None
    """The creation time that results carry, local as DICOM's times are: a value of the job, so that a replay gives
    identical bytes."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Parameters that replace the manifest's."""
    objects: dict[ObjectKind, bool | str] = Field(default_factory=dict)
    """What is wanted of that which the app makes: true, false, or a form such as labelmap; the manifest's defaults
    for the rest."""
    staged: str | None = None
    """Folder with slices that the node decoded while the study arrived (`operators.core.staging`); a result does not
    depend on it."""
    reference: str | None = None
    """File with the site's reference set for the app (`operators.core.reference_set`); findings depend on it."""


class Progress(_Record):
    """One line on the app's stdout."""

    operator: str
    fraction: float = Field(ge=0, le=1)
    """Share of the whole run that is done."""
    message: str = ""


class WorkOrder(_Record):
    """One run that a warm worker is asked for: one line on its stdin."""

    source: str
    """Folder with DICOM files."""
    target: str
    """Empty folder for the results."""
    model: str | None = None
    job: Job = Field(default_factory=Job)


class Signal(_Record):
    """What else a warm worker is told on its stdin."""

    signal: Literal["cancel", "ping"]
    """`cancel`: end the present run as soon as an operator looks up; `ping`: answer with `Finished`."""


class ReadAhead(_Record):
    """Files of which a run follows soon, told to a warm worker that has nothing to do; it does not answer."""

    files: tuple[str, ...]


class Finished(_Record):
    """The last line of a warm worker's answer, and the first one it says, when it is ready."""

    exit_code: int


class Reason(_Record):
    """Why a run did not end as done, or what a file was skipped for."""

    code: str
    message: str
    instances: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Coded(_Record):
    """A code triplet (PS3.3 8.1)."""

    value: str
    scheme: str
    meaning: str


class MeasurementRecord(_Record):
    """One number."""

    segment: str
    name: str
    value: float
    unit: str
    codes: dict[str, Coded]
    """`segment`, `concept`, `unit`, and `derivation` where the concept needs one."""


class KeySliceRecord(_Record):
    """The numbers of one segment in one slice worth looking at; the SR draws it."""

    segment: str
    role: str
    """`largest_area`, or the name of a landmark."""
    index: int
    sop_instance_uid: str
    values: dict[str, float]
    """`area_cm2` and `mean_hu` of the segment's pixels in this slice."""


class DerivedRecord(_Record):
    """One number computed from others, or why there is none."""

    name: str
    label: str
    segments: tuple[str, ...]
    definition: str
    unit: str
    value: float | None = None
    reason: str | None = None
    """Why there is no value."""
    reason_code: str | None = None
    """The same as a code: `not_found`, `no_level`, `no_height`, `implausible_height`."""
    level: str | None = None
    """Landmark in whose slice it is measured; none for the whole scan."""
    codes: dict[str, Coded]
    """`concept` and `unit`."""


class Output(_Record):
    """One file of the result."""

    path: str
    """File name inside the output folder; the command line makes it absolute."""
    sop_class_uid: str | None = None
    sop_class: str | None = None
    sop_instance_uid: str | None = None
    series_instance_uid: str | None = None
    study_instance_uid: str | None = None


class QualityFindingRecord(_Record):
    """One finding about the result."""

    code: str
    message: str
    severity: str = "caution"
    """`caution`: the numbers go out with the finding; `hold`: the finding goes out without them."""


class Quality(_Record):
    """May the numbers be used."""

    verdict: str
    """`pass`, `caution` or `hold`; on hold the result has neither numbers nor masks."""
    score: float | None = None
    """Between 0 and 1 where an app computes one."""
    findings: tuple[QualityFindingRecord, ...] = ()
    not_checked: tuple[str, ...] = ()
    """What could not be checked, and why."""
    features: dict[str, float | None] = Field(default_factory=dict)
    """Numbers by which the scan can be told from others; none on hold."""


class SliceRecord(_Record):
    """One row of the slice table."""

    index: int
    sop_instance_uid: str
    position_mm: float
    area_cm2: dict[str, float]
    left_cm2: dict[str, float] | None = None
    """What of it lies on the patient's left of the midline, where an app measures sides."""
    right_cm2: dict[str, float] | None = None


class SelectionRecord(_Record):
    """Why this volume, or why not."""

    series_instance_uid: str
    description: str
    volume: str = ""
    selected: bool
    score: float | None = None
    reasons: tuple[str, ...] = ()


class Result(_Record):
    """result.json."""

    result_schema: Literal["mapnode.result/1"] = Field(default="mapnode.result/1", alias="schema")
    app: str
    version: str
    status: Status
    reasons: tuple[Reason, ...] = ()
    identity: str | None = None
    predecessor: str | None = None
    clock: str | None = None
    selection: tuple[SelectionRecord, ...] = ()
    skipped_files: tuple[Reason, ...] = ()
    outputs: tuple[Output, ...] = ()
    measurements: tuple[MeasurementRecord, ...] = ()
    derived: tuple[DerivedRecord, ...] = ()
    key_slices: tuple[KeySliceRecord, ...] = ()
    slices: tuple[SliceRecord, ...] = ()
    quality: Quality | None = None
    timings_s: dict[str, float] = Field(default_factory=dict)
    peak_memory_mb: float | None = None

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    @property
    def exit_code(self) -> ExitCode:
        """The exit code that belongs to the status."""
        return EXIT_CODES[self.status]

    @property
    def sentence(self) -> str:
        """Status and reasons as one line for a person."""
        reasons = (
            r.message if self.status is Status.NOT_APPLICABLE else f"{r.code}: {r.message}" for r in self.reasons
        )
        return f"{self.status.replace('_', ' ')}: {'; '.join(reasons)}"

    def to_json(self) -> str:
        """The document, indented, with its schema's name first."""
        return self.model_dump_json(by_alias=True, indent=2, exclude_none=True) + "\n"
