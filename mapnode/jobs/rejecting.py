"""Rejecting: has a rejection note built for results that are taken out of use.

highdicom builds it, in a process of its own: the node imports nothing of the operators but their core.
"""

from __future__ import annotations

import datetime
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from pydicom import dcmread

from mapnode.errors import NodeError
from mapnode.share import import_root
from operators.core.errors import without_values
from operators.core.identity import digest_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mapnode.jobs.spec import JobSpec

NOTE_NAME = "note.dcm"
TIMEOUT_S = 120


class Title(StrEnum):
    """Title of a note (PS3.16 CID 7031), code values of DCM: archives keep from sight what they read there."""

    QUALITY = "113001"
    """A better result takes its place, or its source is gone."""
    PATIENT_SAFETY = "113037"
    """It stands under a patient or study that its images turned out not to be of."""


@dataclass(frozen=True)
class Note:
    """A rejection note.

    Attributes:
        sop_instance_uid: Its UID.
        content: The file.
    """

    sop_instance_uid: str
    content: bytes


def build_note(folder: Path, rejected: Iterable[bytes], spec: JobSpec, title: Title, why: str) -> Note:
    """The note that rejects a job's results; the one that was built before, where it was.

    Args:
        folder: Where it is kept: a replay after a kill stores the same bytes.
        rejected: DICOM files of the results.
        spec: The job whose results they are.
        title: The note's title.
        why: What takes their place, or what is wrong with them.

    Returns:
        The note: UIDs derive from the job's identity.

    Raises:
        NodeError: If it cannot be built.
    """
    target = folder / NOTE_NAME
    if not target.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "rejected").mkdir(parents=True)
        for number, content in enumerate(rejected):
            (folder / "rejected" / f"{number}.dcm").write_bytes(content)
        _build(folder, spec, title, why)
    return Note(str(dcmread(target, specific_tags=["SOPInstanceUID"]).SOPInstanceUID), target.read_bytes())


def _build(folder: Path, spec: JobSpec, title: Title, why: str) -> None:
    """Run the process.

    Raises:
        NodeError: If it fails.
    """
    order = {
        "folder": str(folder / "rejected"),
        "output": str(folder / NOTE_NAME),
        "identity": digest_of({"rejects": spec.identity}),
        "clock": datetime.datetime.now().replace(microsecond=0).isoformat(),
        "app": spec.app,
        "version": spec.app_version,
        "title": title,
        "description": why,
    }
    done = subprocess.run(  # noqa: S603 - our own interpreter and module
        [sys.executable, "-m", "operators.runtime.reject", json.dumps(order)],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_S,
        cwd=import_root(),
    )
    if done.returncode != 0:
        words = done.stderr.strip().splitlines()
        raise NodeError(
            f"no rejection note could be built: {without_values(words[-1]) if words else 'no reason given'}"
        )
