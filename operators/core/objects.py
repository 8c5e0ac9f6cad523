"""Objects: which of the objects that an app can make a run makes, and in which form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.core.contract import ObjectKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from operators.core.manifest import OutputPart

NEED_THE_SEG = (ObjectKind.SR, ObjectKind.SECONDARY_CAPTURE, ObjectKind.REPORT_PDF)
"""They name the Segmentation that they are about: a reference to nothing would be wrong."""


class ObjectsNotMade(ValueError):
    """A run asks for objects that its app does not make, or that cannot stand alone."""


def wanted_objects(made: Iterable[OutputPart], asked: Mapping[ObjectKind, bool | str]) -> dict[ObjectKind, str]:
    """The objects to make.

    Args:
        made: What the manifest says that the app makes.
        asked: What the job wants: true, false or a form, by kind; the manifest's default for the rest.

    Returns:
        Kind and form, in the manifest's order; an empty form for an object that has but one.

    Raises:
        ObjectsNotMade: If an object or form is asked for that the app does not make, or one that names the
            Segmentation is wanted without it.
    """
    parts = {part.kind: part for part in made}
    for kind, choice in asked.items():
        if choice is not False and kind not in parts:
            raise ObjectsNotMade(f"the app makes no {kind}; it makes {', '.join(parts)}")
        if isinstance(choice, str) and choice not in parts[kind].forms:
            raise ObjectsNotMade(
                f"the app makes {kind} as {', '.join(parts[kind].forms) or 'one form only'}, not {choice}"
            )
    wanted = {kind: _form(part, asked.get(kind, part.default)) for kind, part in parts.items()}
    chosen = {kind: form for kind, form in wanted.items() if form is not None}
    alone = [kind for kind in NEED_THE_SEG if kind in chosen and ObjectKind.SEG not in chosen]
    if alone:
        raise ObjectsNotMade(f"{', '.join(alone)} cannot be made without seg, which they refer to")
    return chosen


def _form(part: OutputPart, choice: bool | str) -> str | None:
    """The form, None where the object is not wanted."""
    if choice is False:
        return None
    first = part.forms[0] if part.forms else ""
    return choice if isinstance(choice, str) else first
