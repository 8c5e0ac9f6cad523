"""Outcome: what a container left, as a result: its own result.json, or the DICOM objects of a MAP that has none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydicom import dcmread, uid

from mapnode.containers.output import take_over
from mapnode.runners.child import failed, read_result
from operators.core.contract import RESULT_NAME, Output, Reason, Result, Status
from operators.core.dicom_file import require_bounded
from operators.core.header import PARSE_ERRORS, read_text

if TYPE_CHECKING:
    from mapnode.containers.images import MapImage
    from mapnode.containers.output import Survey

LARGEST_RESULT_BYTES = 64 * 2**20
"""Of result.json."""
HEADER = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")


def gather(image: MapImage, found: Survey, source: Path, target: Path, code: int, log: list[str]) -> Result:
    """Take over what an ended container wrote.

    Args:
        image: The image.
        found: What lies in its output, regular files alone.
        source: Its output.
        target: Folder for the results; it gets the files and result.json.
        code: Its exit code.
        log: Its last words.

    Returns:
        Its own result, where it wrote a result.json; else done where it ended with 0 and wrote a DICOM object.
    """
    if image.own is not None or Path(RESULT_NAME) in found.files:
        result = _contract_result(image, source, target, code, log)
    else:
        result = _foreign_result(image, found, source, target, code, log)
    (target / RESULT_NAME).write_text(result.to_json(), encoding="utf-8")
    return result


def _contract_result(image: MapImage, source: Path, target: Path, code: int, log: list[str]) -> Result:
    """The result that the container says, with the files that it names."""
    said = source / RESULT_NAME
    if said.is_file() and said.stat().st_size > LARGEST_RESULT_BYTES:
        return failed(image.name, image.version, f"{image.name} wrote a {RESULT_NAME} of more than 64 MB", log)
    result = read_result(image.name, image.version, source, code, log)
    names = [output.path for output in result.outputs]
    if any(Path(name).name != name or not (source / name).is_file() for name in names):
        return failed(image.name, image.version, f"{image.name} names files that are not in its output folder", log)
    if len(set(names)) != len(names):
        return failed(image.name, image.version, f"{image.name} names a file twice", log)
    for name in names:
        take_over(source / name, target / name)
    return result


def _foreign_result(image: MapImage, found: Survey, source: Path, target: Path, code: int, log: list[str]) -> Result:
    """The DICOM objects that a MAP wrote, under neutral names: those that it gave may be a patient's."""
    if code != 0:
        return failed(image.name, image.version, f"{image.name} ended with exit code {code}", log)
    outputs: list[Output] = []
    for path in found.files:
        header = _header(source / path)
        if header is not None:
            name = f"{len(outputs) + 1:04}.dcm"
            take_over(source / path, target / name)
            outputs.append(_output(name, header))
    if not outputs:
        message = (
            f"{image.name} ended with exit code 0 and wrote no DICOM object; the SDK's own entry point ends with 0 "
            "whatever happened, so this counts as failed"
        )
        return failed(image.name, image.version, message, log)
    left_out = len(found.files) - len(outputs)
    reasons = (Reason(code="no_dicom", message=f"{left_out} files that are no DICOM objects"),) if left_out else ()
    return Result(
        app=image.name, version=image.version, status=Status.DONE, outputs=tuple(outputs), skipped_files=reasons
    )


def _header(path: Path) -> dict[str, str] | None:
    """The UIDs of a DICOM object; None of any other file, one that inflates without end among them."""
    try:
        require_bounded(path)
        dataset = dcmread(path, stop_before_pixels=True, specific_tags=list(HEADER))
    except PARSE_ERRORS:
        return None
    return {keyword: read_text(dataset, keyword) for keyword in HEADER}


def _output(name: str, header: dict[str, str]) -> Output:
    sop_class, instance, series, study = (header[keyword] for keyword in HEADER)
    return Output(
        path=name,
        sop_class_uid=sop_class,
        sop_class=uid.UID(sop_class).name,
        sop_instance_uid=instance,
        series_instance_uid=series,
        study_instance_uid=study,
    )
