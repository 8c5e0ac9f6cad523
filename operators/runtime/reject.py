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
        order: `folder` with the results to reject, `output`, `identity`, `clock`, `app`, `version`, `title` (a code
            value of CID 7031), `description`.
    """
    rejected = [dcmread(path, stop_before_pixels=True) for path in sorted(Path(order["folder"]).iterdir())]
    identity = ResultIdentity(order["identity"], datetime.fromisoformat(order["clock"]), order["app"], order["version"])
    reason = next(one for one in RejectionReason if one.value.value == order["title"])
    note = build_rejection_note(rejected, reason, identity, order["description"])
    target = Path(order["output"])
    draft = target.with_suffix(".draft")
    save(note, draft)
    draft.replace(target)


if __name__ == "__main__":
    reject(json.loads(sys.argv[1]))
