"""Tag: the name of an image as engines take it (distribution/reference, `name:tag`)."""

from __future__ import annotations

import re

from mapnode.errors import WrongUse

PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
REGISTRY = r"(?:[A-Za-z0-9.-]+(?::\d+)?/)?"
NAME = re.compile(rf"{REGISTRY}{PART}(?:/{PART})*(?::(?P<tag>\w[\w.-]{{0,127}}))?", re.ASCII)


def full_tag(name: str) -> str:
    """The name of an image with its tag: `latest`, as for engines, where none is given.

    Raises:
        WrongUse: If no engine would take it, which they say when an archive is loaded.

    Examples:
        >>> full_tag("ct-body:0.1.0"), full_tag("registry:5000/ct")
        ('ct-body:0.1.0', 'registry:5000/ct:latest')
    """
    found = NAME.fullmatch(name)
    if found is None:
        raise WrongUse(
            f"{name!r} cannot be the name of an image: lower case letters, digits, dots, dashes, underscores, then a "
            "colon and a version, for instance ct-body-composition:0.1.0"
        )
    return name if found["tag"] else f"{name}:latest"
