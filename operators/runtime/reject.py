"""Reject: the process that builds a rejection note for the node (python -m operators.runtime.reject JSON).

The note is written beside its final name and renamed: a note that is there is whole.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

from pydicom import dcmread

from operators.core.identity import ResultIdentity
from operators.write.marking import save
from operators.write.rejection_note import RejectionReason, build_rejection_note


def reject(order: dict[str, Any]) -> None:
    """Build and write one note.

    Args:
        order: `folder` with the results to reject, `output`, `identity`, `clock`, `app`, `version`, `description`.
    """
    rejected = [dcmread(path, stop_before_pixels=True) for path in sorted(Path(order["folder"]).iterdir())]
    identity = ResultIdentity(order["identity"], datetime.fromisoformat(order["clock"]), order["app"], order["version"])
    note = build_rejection_note(rejected, RejectionReason.QUALITY, identity, order["description"])
    target = Path(order["output"])
    draft = target.with_suffix(".draft")
    save(note, draft)
    draft.replace(target)


if __name__ == "__main__":
    reject(json.loads(sys.argv[1]))
