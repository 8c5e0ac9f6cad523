"""digest: the SHA-256 of anything that JSON can say.

Apart from identity, which reads DICOM: whoever looks at manifests and models alone needs no pydicom, half of the start
of a command.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest_of(content: Any) -> str:  # noqa: ANN401 - anything that JSON can say
    """SHA-256 of JSON content, independent of the order of its keys, hexadecimal.

    Examples:
        >>> digest_of({"a": 1, "b": [2]}) == digest_of({"b": [2], "a": 1})
        True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
