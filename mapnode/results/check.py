"""Check: a result belongs to the patient, study and images that it was made from, as they are now, and lies there.

The gate between an app and the archive: `check_files` lets nothing through that it did not judge.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import dcmread, uid

from operators.core.contract import ObjectKind
from operators.core.dicom_file import require_bounded
from operators.core.header import PARSE_ERRORS, read_text, read_uid, read_value
from operators.core.items import PlainObject
from operators.core.object_checks import check_plain, plain_references
from operators.core.report_checks import REPORTS, content_references
from operators.core.segmentation_checks import SEGMENTATIONS
from operators.core.source_planes import SourcePlanes, planes_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from pydicom import Dataset

    from operators.core.contract import Output
    from operators.core.manifest import OutputPart

IDENTITY_KEYWORDS = ("PatientID", "PatientName", "StudyInstanceUID")
"""What results take over from their source and must agree with it; a birth date that is none is left out of them."""
CLASSES_OF_KIND: dict[ObjectKind, frozenset[str]] = {
    ObjectKind.SEG: SEGMENTATIONS,
    ObjectKind.SR: REPORTS,
    ObjectKind.KEY_IMAGE: frozenset(),
    ObjectKind.SECONDARY_CAPTURE: frozenset({str(uid.SecondaryCaptureImageStorage)}),
    ObjectKind.REPORT_PDF: frozenset({str(uid.EncapsulatedPDFStorage)}),
    ObjectKind.PRESENTATION_STATE: frozenset({str(uid.GrayscaleSoftcopyPresentationStateStorage)}),
    ObjectKind.RT_STRUCTURE_SET: frozenset({str(uid.RTStructureSetStorage)}),
}
"""SOP Classes of what a manifest says that an app makes; a picture is no DICOM object."""
LARGEST_FILE_BYTES = 6 * 2**30
"""A BINARY SEG of 104 segments and 1,200 slices of 512 x 512 has 4 GB."""
MOST_FILES = 1000
READ_WHEN_ASKED_FOR = 1 << 16
"""Elements longer than this stay in the file until somebody looks at them: pixels are far larger than all else."""


@dataclass(frozen=True)
class SourceIdentity:
    """Who and what the instances of a series are, and where they lie, read from Orthanc.

    Attributes:
        values: Attributes of IDENTITY_KEYWORDS as text, empty where absent.
        instances: SOP Instance UIDs of the series.
        series: Series Instance UIDs of the instances.
        planes: Where they lie.
    """

    values: dict[str, str]
    instances: frozenset[str]
    series: frozenset[str]
    planes: SourcePlanes


def identity_of(headers: Iterable[Dataset]) -> SourceIdentity:
    """The identity that the instances of one series share; the first one's where they differ."""
    headers = list(headers)
    values = {keyword: text_of(headers[0], keyword) for keyword in IDENTITY_KEYWORDS}
    instances, series = (
        frozenset(read_uid(header, keyword) for header in headers)
        for keyword in ("SOPInstanceUID", "SeriesInstanceUID")
    )
    return SourceIdentity(values, instances, series, planes_of(headers))


def check_files(
    folder: Path, outputs: Sequence[Output], made: Iterable[OutputPart], source: SourceIdentity
) -> list[str]:
    """What speaks against storing the files of a run: `check_results`, and before it what a file must not be.

    Args:
        folder: Output folder of the run.
        outputs: What result.json says of the DICOM files in it.
        made: What the app's manifest says that it makes.
        source: The source, read again just before.

    Returns:
        The problems: a file that lies elsewhere, is too large, unreadable or not announced; those of `check_results`.
    """
    if len(outputs) > MOST_FILES:
        return [f"there are {len(outputs)} files; {MOST_FILES} are the most that a run may make"]
    classes = frozenset().union(*(CLASSES_OF_KIND[part.kind] for part in made))
    results, problems = [], []
    for output in outputs:
        problem = _why_no_result(folder, output.path)
        if problem is None:
            try:
                require_bounded(folder / output.path)
                results.append(dcmread(folder / output.path, defer_size=READ_WHEN_ASKED_FOR))
            except PARSE_ERRORS as error:
                problem = f"it cannot be read as DICOM: {type(error).__name__}"
            else:
                problem = _why_not_announced(results[-1], output, classes)
        if problem is not None:
            problems.append(f"{output.path}: {problem}")
    return problems or check_results(results, source)


def check_results(results: Iterable[Dataset], source: SourceIdentity) -> list[str]:
    """What speaks against storing results, as sentences without patient data; empty if nothing does.

    Args:
        results: DICOM objects of one run.
        source: The source, read again just before.

    Returns:
        The problems: another patient or study, a UID that is taken, a reference to an instance that is not the
        source's, frames that do not lie on the source, an invalid object.
    """
    plains = [PlainObject(result) for result in results]
    known = source.instances | {read_text(plain.dataset, "SOPInstanceUID") for plain in plains}
    problems = [problem for plain in plains for problem in _problems(plain, source, known)]
    return [*problems, *_taken_uids(plains, source), *unknown_segments(plains)]


def unknown_segments(plains: Sequence[PlainObject]) -> list[str]:
    """Segments that reports refer to and that the Segmentations beside them do not have.

    Args:
        plains: Objects of one run, or files that somebody gave together.

    Returns:
        The problems, none for Segmentations that are not there.
    """
    segments = {
        read_text(plain.dataset, "SOPInstanceUID"): _numbers_of(plain)
        for plain in plains
        if read_text(plain.dataset, "SOPClassUID") in SEGMENTATIONS
    }
    problems = []
    for plain in plains:
        if read_text(plain.dataset, "SOPClassUID") in REPORTS:
            named = _named_segments(plain)
            missing = {(u, n) for u, n in named if u in segments and n not in segments[u]}
            if missing:
                numbers = sorted({number for _, number in missing})
                problems.append(f"{_name(plain.dataset)}: it refers to the segments {numbers}, which the SEG has not")
    return problems


def _numbers_of(plain: PlainObject) -> set[int]:
    try:
        return {segment.number("SegmentNumber") for segment in plain.items("SegmentSequence")}
    except PARSE_ERRORS:
        return set()


def _named_segments(plain: PlainObject) -> set[tuple[str, int]]:
    """SOP Instance UID and Referenced Segment Number of what content items refer to."""
    try:
        return {
            (reference.text("ReferencedSOPInstanceUID"), number)
            for reference in content_references(plain)
            for number in reference.numbers("ReferencedSegmentNumber")
        }
    except PARSE_ERRORS:
        return set()


def _problems(plain: PlainObject, source: SourceIdentity, known: frozenset[str]) -> Iterable[str]:
    name = _name(plain.dataset)
    for keyword in IDENTITY_KEYWORDS:
        if text_of(plain.dataset, keyword) != source.values[keyword]:
            yield f"{name}: {keyword} is not the source's"
    try:
        strangers = plain_references(plain) - known
    except PARSE_ERRORS as error:
        yield f"{name}: its references cannot be read: {type(error).__name__}"
    else:
        if strangers:
            yield f"{name}: it refers to {len(strangers)} instances that are not in the source series"
    yield from (f"{name}: {problem}" for problem in check_plain(plain, source.planes))


def _taken_uids(plains: Sequence[PlainObject], source: SourceIdentity) -> Iterator[str]:
    """A result replaces no image and joins no series of images, and no two results are one object."""
    instances = Counter(read_text(plain.dataset, "SOPInstanceUID") for plain in plains)
    for plain in plains:
        name, instance = _name(plain.dataset), read_text(plain.dataset, "SOPInstanceUID")
        if instance in source.instances:
            yield f"{name}: its SOPInstanceUID is that of a source image, which it would replace"
        elif instance and instances[instance] > 1:
            yield f"{name}: its SOPInstanceUID is that of another result"
        if read_text(plain.dataset, "SeriesInstanceUID") in source.series:
            yield f"{name}: its SeriesInstanceUID is the source's; a result has a series of its own"
    modalities: dict[str, set[str]] = {}
    for plain in plains:
        series = read_text(plain.dataset, "SeriesInstanceUID")
        modalities.setdefault(series, set()).add(read_text(plain.dataset, "Modality"))
    for found in modalities.values():
        if len(found) > 1:
            yield f"results of the modalities {', '.join(sorted(found))} are in one series (PS3.3 C.7.3.1)"


def _why_no_result(folder: Path, name: str) -> str | None:
    """Why a name is no file of a run's output folder that may be read; None if it is one."""
    try:
        inside = folder.resolve(strict=True)
        path = (folder / name).resolve(strict=True)
        # An absolute name is itself below any folder.
        if not path.is_relative_to(inside) or path != inside / name:
            return "it is a link, or lies outside of the output folder"
        if not path.is_file():
            return "it is no regular file"
        size = path.stat().st_size
    except (OSError, ValueError, RuntimeError) as error:
        return f"it cannot be opened: {type(error).__name__}"
    return f"it has {size} bytes; {LARGEST_FILE_BYTES} are the most" if size > LARGEST_FILE_BYTES else None


def _why_not_announced(result: Dataset, output: Output, classes: frozenset[str]) -> str | None:
    """Why an object is not what result.json and the manifest say; None if it is."""
    if read_text(result, "SOPClassUID") not in classes:
        return f"the app's manifest names no output of its SOP Class ({_name(result)})"
    if read_text(result, "SOPInstanceUID") != output.sop_instance_uid:
        return "its SOPInstanceUID is not the one that result.json says"
    return None


def _name(dataset: Dataset) -> str:
    value = read_uid(dataset, "SOPClassUID")
    return uid.UID(value).name if value else "object without SOP Class"


def text_of(dataset: Dataset, keyword: str) -> str:
    """An attribute as text, for comparing; empty where it is absent or no value."""
    return str(read_value(dataset, keyword) or "").strip()
