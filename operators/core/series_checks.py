"""Series checks: what every instance of a series has to say, wherever it lies."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from pydicom.uid import UID

from operators.core.findings import Finding, FindingCode
from operators.core.header import alike, attribute, has, read_numbers, read_uid, read_value
from operators.core.kinds import Kind, is_ct, is_pet
from operators.core.pixel_format import MONOCHROME
from operators.core.reading import IDENTITY_KEYWORDS

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Iterator, Sequence

    from pydicom import Dataset

    from operators.core.frames import Frame
    from operators.core.reading import Instance, Series

T = TypeVar("T")

KIND_KEYWORDS = ("SamplesPerPixel", "PhotometricInterpretation", "SOPClassUID", "Modality", "RescaleType")
"""What decides which values are asked of a frame."""
RESCALE_KEYWORDS = ("RescaleSlope", "RescaleIntercept")
CT_LIMITS = {"RescaleSlope": (1e-4, 100.0), "RescaleIntercept": (-100_000.0, 100_000.0)}
"""Stored values have at most 16 bits, HU at most some ten thousand (metal, extended scale)."""
LARGEST_RESCALE = 1e15
"""Of any image: beyond it stored values lose their digits."""
HOUNSFIELD = ("HU", "HU_MOD")
"""Rescale Types of CT in Hounsfield units (PS3.3 C.11.1.1.2)."""
PLACE_KINDS = (Kind.SLICE, Kind.FRAMES)


def check_instances(series: Series) -> Iterator[Finding]:
    """Identity, kind and source of the instances.

    Args:
        series: A series as read.

    Yields:
        Findings.
    """
    yield from _check_identity(series)
    yield from _check_kind(series)
    yield from _check_one_source(series)


def check_values(frames: Sequence[Frame]) -> Iterator[Finding]:
    """Whether stored values become what they stand for: gray values, HU for CT.

    Args:
        frames: Frames of one series.

    Yields:
        Findings.
    """
    kinds = alike(frames, _header_of, *KIND_KEYWORDS)
    colour = [frame for group in kinds.values() if is_colour(group[0]) for frame in group]
    if colour:
        yield _finding(FindingCode.COLOUR, "is in colour or has a palette: no scalar volume", colour)
    gray_ct = [group for group in kinds.values() if is_ct(group[0].header) and not is_colour(group[0])]
    other = [frame for group in gray_ct for frame in group if lut_output(frame.header) not in HOUNSFIELD]
    if other:
        yield _finding(
            FindingCode.NOT_HOUNSFIELD, f"{attribute('RescaleType')} or the Modality LUT's type is not HU", other
        )
    for keyword in RESCALE_KEYWORDS:
        yield from _check_rescale(frames, keyword)


def lut_output(header: Dataset) -> str:
    """What the output of the Modality LUT is, HU where nothing is said (PS3.3 C.11.1.1.2)."""
    table = read_value(header, "ModalityLUTSequence")
    said = read_value(table[0], "ModalityLUTType") if table else read_value(header, "RescaleType")
    return str(said or "HU").upper()


def is_colour(frame: Frame) -> bool:
    """Whether a frame has no single gray value a pixel."""
    samples = str(read_value(frame.header, "SamplesPerPixel") or 1)
    return (
        samples != "1" or str(read_value(frame.header, "PhotometricInterpretation") or MONOCHROME[1]) not in MONOCHROME
    )


def _check_identity(series: Series) -> Iterator[Finding]:
    """Each instance says what it is and what it belongs to."""
    for keyword in (*IDENTITY_KEYWORDS, "FrameOfReferenceUID"):
        asked = [i for i in series.instances if keyword in IDENTITY_KEYWORDS or i.kind in PLACE_KINDS]
        groups = alike(asked, _header_of, keyword).values()
        without = [i for group in groups if not read_uid(group[0].header, keyword) for i in group]
        # A frame of reference that only some instances lack is a mixture (_check_one_source).
        if without and (keyword in IDENTITY_KEYWORDS or len(without) == len(asked)):
            yield _about(
                FindingCode.MISSING_ATTRIBUTE,
                f"{attribute(keyword)} is absent, empty or no UID in {_named(without)}; "
                "without it nothing says what an image belongs to: correct it at the source",
                without,
            )


def _check_kind(series: Series) -> Iterator[Finding]:
    """Images that may lie in a volume, and no instance twice."""
    for kind, code, what in (
        (Kind.OTHER, FindingCode.UNSUPPORTED_OBJECT, "no images of the patient"),
        (Kind.IMAGE, FindingCode.TWO_DIMENSIONAL, "two-dimensional images, without a place in the patient"),
    ):
        found = [i for i in series.instances if i.kind is kind]
        if found:
            uid = UID(read_uid(found[0].header, "SOPClassUID"))
            name = uid.name if uid.name != uid else "unknown"
            yield _about(code, f"{len(found)} of {len(series.instances)} are {what} (SOP Class {name})", found)
    counts = Counter(i.uid for i in series.instances if i.uid)
    twice = [i for i in series.instances if counts[i.uid] > 1]
    if twice:
        yield _about(
            FindingCode.DUPLICATE_INSTANCE, f"{len(twice)} files share a SOP Instance UID with another file", twice
        )


def _check_one_source(series: Series) -> Iterator[Finding]:
    """One patient, one study, one frame of reference."""
    for code, keyword in (
        (FindingCode.MIXED_PATIENT, "PatientID"),
        (FindingCode.MIXED_PATIENT, "PatientName"),
        (FindingCode.MIXED_PATIENT, "PatientBirthDate"),
        (FindingCode.MIXED_STUDY, "StudyInstanceUID"),
        (FindingCode.MIXED_FRAME_OF_REFERENCE, "FrameOfReferenceUID"),
    ):
        minority = _minority(series.instances, keyword)
        if minority:
            yield _about(
                code,
                f"{attribute(keyword)} differs inside the series: {len(minority)} of {len(series.instances)} "
                "instances disagree with the others",
                minority,
            )


def _check_rescale(frames: Sequence[Frame], keyword: str) -> Iterator[Finding]:
    """Stored values of CT become HU by two attributes of Type 1 (PS3.3 C.8.2.1.1); elsewhere they may be absent."""
    problems: dict[tuple[FindingCode, str], list[Frame]] = {}
    some = any(has(frame.header, keyword) for frame in frames)
    groups = alike(frames, _header_of, keyword, "ModalityLUTSequence", *KIND_KEYWORDS)
    for group in groups.values():
        if (wrong := _rescale_problem(group[0], keyword, elsewhere=some)) is not None:
            problems.setdefault(wrong, []).extend(group)
    for (code, problem), concerned in problems.items():
        yield _finding(code, f"{attribute(keyword)} {problem}", concerned)


def _rescale_problem(frame: Frame, keyword: str, *, elsewhere: bool) -> tuple[FindingCode, str] | None:
    found, ct = read_numbers(frame.header, keyword), is_ct(frame.header) and not is_colour(frame)
    if found is None:
        absent = FindingCode.MISSING_ATTRIBUTE, "is absent or empty: nothing says what stored values stand for"
        needed = ct or elsewhere or is_pet(frame.header)
        return absent if needed and not has(frame.header, "ModalityLUTSequence") else None
    low, high = CT_LIMITS[keyword] if ct else (-LARGEST_RESCALE, LARGEST_RESCALE)
    if len(found) != 1 or not low <= found[0] <= high or not np.isfinite(found[0]):
        return FindingCode.INVALID_ATTRIBUTE, f"is not one number between {low:g} and {high:g}"
    if keyword == "RescaleSlope" and found[0] == 0:
        return FindingCode.INVALID_ATTRIBUTE, "is 0"
    return None


def _finding(code: FindingCode, problem: str, frames: Sequence[Frame]) -> Finding:
    """A finding about frames: the file where the problem is, then what it is."""
    instances = list({frame.instance.path: frame.instance for frame in frames}.values())
    return _about(code, f"{_named(instances)}: {problem}", instances)


def _about(code: FindingCode, message: str, instances: Iterable[Instance]) -> Finding:
    concerned = tuple(instances)
    uids, files = (i.uid for i in concerned if i.uid), (i.name for i in concerned if not i.uid)
    return Finding(code, message, tuple(dict.fromkeys(uids)), tuple(files))


def _named(instances: Sequence[Instance]) -> str:
    more = f" and {len(instances) - 1} more" if len(instances) > 1 else ""
    return f"{instances[0].name}{more}"


def _minority(instances: Sequence[Instance], keyword: str) -> list[Instance]:
    """The instances that do not share the most common value, whatever its case and padding.

    Values are compared as they are written: decoding a name could only lose letters.
    """
    values: dict[Hashable, list[Instance]] = defaultdict(list)
    for (written,), group in alike(instances, _header_of, keyword).items():
        values[_folded(written)] += group
    most = max(values.values(), key=len)
    return [instance for found in values.values() if found is not most for instance in found]


def _folded(written: Hashable) -> Hashable:
    if isinstance(written, str):
        written = written.encode()
    return written.strip(b" \0").upper() if isinstance(written, bytes) else b""


def _header_of(item: Instance | Frame) -> Dataset:
    return item.header
