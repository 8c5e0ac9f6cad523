"""Validation: files judged by our own checks, by each other and by the judges that are installed; one verdict a file.

docs/validation.md says what each check means.
"""

from __future__ import annotations

import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from mapnode.judges import (
    CROSS_VALIDATOR,
    FALSE_FOR_LABEL_MAP,
    FALSE_FOR_LABEL_MAP_REPORT,
    REPORT_READER,
    SEG_READER,
    VALIDATOR,
    Judgement,
    ask_dcentvfy,
    ask_dciodvfy,
    ask_dcmqi,
    find_program,
)
from mapnode.results.check import IDENTITY_KEYWORDS, READ_WHEN_ASKED_FOR, SourceIdentity, identity_of, unknown_segments
from operators.core.header import PARSE_ERRORS, read_text, read_uid
from operators.core.items import PlainObject
from operators.core.object_checks import RESULT_KINDS, check_plain, listed_by_series, plain_references
from operators.core.report_checks import MEASUREMENT_REPORT, REPORTS, content_references, template_of
from operators.core.segmentation_checks import LABEL_MAP, SEGMENTATIONS

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

US = "mapnode"
NO_PREFIX = "no DICOM file: the prefix DICM is missing"


@dataclass(frozen=True)
class FileVerdict:
    """What is known of one file.

    Attributes:
        path: The file.
        sop_class: Name of its SOP Class, empty where it cannot be read.
        problems: What is wrong, each with who says so.
        warnings: What judges remark, without making the file invalid.
        known_errors: Errors that a judge is known to report of valid files of this kind.
        checked_by: Who looked at it.
    """

    path: Path
    sop_class: str
    problems: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    known_errors: tuple[str, ...] = ()
    checked_by: tuple[str, ...] = (US,)

    @property
    def valid(self) -> bool:
        """Whether nobody found an error."""
        return not self.problems


@dataclass
class _File:
    """A file that is being judged.

    Attributes:
        path: The file.
        plain: Its data set, None where it cannot be read.
        problems: What we found.
        judgements: What others found.
    """

    path: Path
    plain: PlainObject | None = None
    problems: list[str] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)

    @property
    def class_uid(self) -> str:
        """SOP Class UID, empty where there is none."""
        return "" if self.plain is None else read_uid(self.plain.dataset, "SOPClassUID")

    @property
    def instance_uid(self) -> str:
        """SOP Instance UID, empty where there is none."""
        return "" if self.plain is None else read_uid(self.plain.dataset, "SOPInstanceUID")

    def verdict(self) -> FileVerdict:
        """All that was found."""
        said = [(j.judge, kind, line) for j in self.judgements for kind in KINDS for line in getattr(j, kind)]
        errors, warnings, known = (tuple(f"{j}: {line}" for j, k, line in said if k == kind) for kind in KINDS)
        return FileVerdict(
            self.path,
            UID(self.class_uid).name if self.class_uid else "",
            (*(f"{US}: {problem}" for problem in dict.fromkeys(self.problems)), *errors),
            warnings,
            known,
            (US, *(judgement.judge for judgement in self.judgements if judgement.answered)),
        )


KINDS = ("errors", "warnings", "known")


def validate_files(
    paths: Sequence[Path], on_progress: Callable[[float], None] = lambda _share: None
) -> list[FileVerdict]:
    """Judge files.

    Args:
        paths: Files; what is given together is held against each other, results against the images they refer to.
        on_progress: Gets the share that is done.

    Returns:
        A verdict for each, in the order given.
    """
    files = [_read(path) for path in paths]
    readable = [file for file in files if file.plain is not None]
    _check_together(readable)
    questions = [(file, question) for file in readable for question in _questions(file)]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        asked = {pool.submit(question): file for file, question in questions}
        for done, future in enumerate(as_completed(asked), start=1):
            asked[future].judgements.append(future.result())
            on_progress(done / len(asked))
    if len(readable) > 1 and find_program(CROSS_VALIDATOR):
        answers = ask_dcentvfy([file.path for file in readable])
        for file in readable:
            file.judgements.append(answers[file.path])
    for file in files:
        file.judgements.sort(key=lambda judgement: judgement.judge)
    return [file.verdict() for file in files]


def _read(path: Path) -> _File:
    try:
        return _File(path, PlainObject(dcmread(path, defer_size=READ_WHEN_ASKED_FOR)))
    except InvalidDicomError:
        return _File(path, problems=[NO_PREFIX])
    except PARSE_ERRORS as error:
        # Not its words: libraries quote what they read.
        return _File(path, problems=[f"it cannot be read: {type(error).__name__}"])


def _questions(file: _File) -> list[Callable[[], Judgement]]:
    """What to ask whom about a file."""
    assert file.plain is not None
    questions: list[Callable[[], Judgement]] = []
    if find_program(VALIDATOR):
        questions.append(partial(ask_dciodvfy, file.path, _known_errors(file.plain)))
    if file.class_uid in SEGMENTATIONS and find_program(SEG_READER):
        questions.append(partial(ask_dcmqi, file.path, SEG_READER))
    if file.class_uid in REPORTS and _template(file.plain) == MEASUREMENT_REPORT and find_program(REPORT_READER):
        questions.append(partial(ask_dcmqi, file.path, REPORT_READER))
    return questions


def _template(plain: PlainObject) -> str:
    try:
        return template_of(plain)
    except PARSE_ERRORS:
        return ""


def _known_errors(plain: PlainObject) -> tuple[re.Pattern[str], ...]:
    """Lines of dciodvfy that are false for an object."""
    if read_uid(plain.dataset, "SOPClassUID") == LABEL_MAP:
        return FALSE_FOR_LABEL_MAP
    try:
        segments = [r for r in content_references(plain) if r.numbers("ReferencedSegmentNumber")]
    except PARSE_ERRORS:
        return ()
    only_label_maps = all(reference.text("ReferencedSOPClassUID") == LABEL_MAP for reference in segments)
    return FALSE_FOR_LABEL_MAP_REPORT if segments and only_label_maps else ()


def _check_together(files: Sequence[_File]) -> None:
    """Our own checks: each file alone, results against their source, and all against each other."""
    images = {f.instance_uid: f for f in files if f.class_uid not in RESULT_KINDS and f.instance_uid}
    sources: dict[frozenset[str], SourceIdentity] = {}
    for file in files:
        assert file.plain is not None
        named = _references(file).intersection(images) if file.class_uid in RESULT_KINDS else frozenset()
        if named and named not in sources:
            sources[named] = identity_of(images[uid].plain.dataset for uid in sorted(named))  # type: ignore[union-attr]
        source = sources.get(named)
        file.problems += check_plain(file.plain, source.planes if source else None)
        if source is not None:
            file.problems += _identity_problems(file.plain, source)
    _check_references(files)
    _check_uids(files)
    for file in files:
        assert file.plain is not None
        segmentations = [f.plain for f in files if f.class_uid in SEGMENTATIONS and f.plain is not None]
        file.problems += unknown_segments([file.plain, *segmentations]) if file.class_uid in REPORTS else []


def _references(file: _File) -> frozenset[str]:
    assert file.plain is not None
    try:
        return frozenset(plain_references(file.plain))
    except PARSE_ERRORS:
        return frozenset()


def _identity_problems(plain: PlainObject, source: SourceIdentity) -> Iterable[str]:
    """A result belongs to the patient and study of its images."""
    for keyword in IDENTITY_KEYWORDS:
        if str(plain.dataset.get(keyword) or "").strip() != source.values[keyword]:
            yield f"{keyword} is not that of the images that it refers to"


def _check_references(files: Sequence[_File]) -> None:
    """Of a series of which instances were given all that a result refers to are there."""
    given: dict[str, set[str]] = {}
    for file in files:
        assert file.plain is not None
        given.setdefault(read_text(file.plain.dataset, "SeriesInstanceUID"), set()).add(file.instance_uid)
    for file in files:
        assert file.plain is not None
        try:
            listed = listed_by_series(file.plain)
        except PARSE_ERRORS:
            continue
        for series, instances in listed.items():
            missing = instances - given.get(series, instances)
            if missing:
                file.problems.append(
                    f"it refers to {len(missing)} instances that are not among the files given of their series"
                )


def _check_uids(files: Sequence[_File]) -> None:
    """A SOP Instance UID is one object."""
    counts = Counter(file.instance_uid for file in files if file.instance_uid)
    for file in files:
        if counts[file.instance_uid] > 1:
            file.problems.append("another file has the same SOPInstanceUID")
