"""Facts: what rules may know of a series, from the headers of its instances and from its transfer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence as ItemSequence

from mapnode.rules.attributes import FIRST_IMAGE_GROUP, FIRST_PIXEL_GROUP, name_of, tag_of
from operators.core import defaults
from operators.core.header import PARSE_ERRORS, read_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from pydicom import Dataset
    from pydicom.tag import BaseTag

PADDING = " \0"
"""Values are padded to an even length with these (PS3.5 6.2)."""
SEQUENCE = "(items)"
BYTES = "(bytes)"
"""Stand for values that are there, but that no clause can compare."""


@dataclass(frozen=True)
class SeriesFacts:
    """What rules may know of a series.

    Attributes:
        series_instance_uid: Series Instance UID (0020,000E).
        study_instance_uid: Study Instance UID (0020,000D).
        attributes: By keyword (`gggg,eeee` where there is none), every value that any instance has, sorted; absent
            and empty attributes are not in it. Never printed: it may hold names.
        calling_aet: AE title of the sender, empty where nobody knows.
        called_aet: AE title that it called, empty where nobody knows.
        instances: Number of instances.
        own_result: Whether the node itself wrote any of them.
        chain: Rules that led to a result of the node, the first one first; empty for what came from outside.
    """

    series_instance_uid: str
    study_instance_uid: str
    attributes: Mapping[str, tuple[str, ...]] = field(repr=False)
    calling_aet: str
    called_aet: str
    instances: int
    own_result: bool
    chain: tuple[str, ...] = ()


def facts_from_headers(
    headers: Sequence[Dataset],
    *,
    calling_aet: str = "",
    called_aet: str = "",
    own_result: bool | None = None,
    chain: tuple[str, ...] = (),
    attributes: Collection[str] | None = None,
) -> SeriesFacts:
    """Collect what rules may know of a series.

    The values of an attribute are those that any instance has: the order of the files cannot change a decision.

    Args:
        headers: Headers of all instances of one series, in any order.
        calling_aet: AE title of the sender.
        called_aet: AE title that it called.
        own_result: Whether the node wrote the series; None looks into the headers (`wrote_by_node`).
        chain: Rules that led to it.
        attributes: Which to read (`RuleSet.attributes`); None reads all.

    Returns:
        The facts.

    Raises:
        ValueError: If there is no header.
    """
    if not headers:
        raise ValueError("a series has at least one instance")
    names = _all_names(headers) if attributes is None else attributes
    values = {name: _values(headers, tag_of(name)) for name in names}
    return SeriesFacts(
        series_instance_uid=_first(headers, "SeriesInstanceUID"),
        study_instance_uid=_first(headers, "StudyInstanceUID"),
        attributes={name: found for name, found in values.items() if found},
        calling_aet=calling_aet.strip(),
        called_aet=called_aet.strip(),
        instances=len(headers),
        own_result=any(map(wrote_by_node, headers)) if own_result is None else own_result,
        chain=chain,
    )


def wrote_by_node(header: Dataset) -> bool:
    """Whether mapnode made an instance, by what its header says of its maker.

    AE titles say nothing here: a result may come back through a PACS. Manufacturer (0008,0070) or an item of
    Contributing Equipment (0018,A001) names mapnode; an image that calls itself ORIGINAL is none of ours, whoever
    touched it on its way (Image Type value 1, PS3.3 C.7.6.1.1.2).

    Args:
        header: Header of one instance.

    Returns:
        True for a result of this or another mapnode.
    """
    image_type = _texts(read_value(header, "ImageType"))
    if image_type[:1] == ("ORIGINAL",):
        return False
    equipment = read_value(header, "ContributingEquipmentSequence")
    items: Iterable[Dataset] = equipment if isinstance(equipment, ItemSequence) else ()
    return any(_made_by_node(part) for part in (header, *items))


def _made_by_node(part: Dataset) -> bool:
    return str(read_value(part, "Manufacturer") or "").strip(PADDING).casefold() == defaults.MANUFACTURER.casefold()


def _first(headers: Sequence[Dataset], keyword: str) -> str:
    """The value of instances that should agree, the lowest if they do not: whatever their order."""
    return min(str(read_value(header, keyword) or "") for header in headers)


def _all_names(headers: Sequence[Dataset]) -> set[str]:
    # Iterating over a data set itself would convert every element.
    tags = {tag for header in headers for tag in header.keys()}  # noqa: SIM118
    return {name_of(tag) for tag in tags if FIRST_IMAGE_GROUP <= tag.group < FIRST_PIXEL_GROUP}


def _values(headers: Sequence[Dataset], tag: BaseTag) -> tuple[str, ...]:
    return tuple(sorted({text for header in headers for text in _read(header, tag)}))


def _read(header: Dataset, tag: BaseTag) -> tuple[str, ...]:
    """The values of one attribute of one instance; none where it is absent, empty, or not what its VR says."""
    try:
        element = header.get(tag)
        if element is None:
            return ()
        value = element.value
        return _texts([np.float32(v) for v in _each(value)] if element.VR == "FL" else value)
    except PARSE_ERRORS:
        return ()


def _texts(value: Any) -> tuple[str, ...]:  # noqa: ANN401 - pydicom values are untyped
    """The parts of a value as text, without padding and without empty ones."""
    if isinstance(value, ItemSequence):
        return (SEQUENCE,) if len(value) else ()
    if isinstance(value, bytes):
        value = _decode(value)
    parts = (str(part).strip(PADDING) for part in _each(value) if part is not None)
    return tuple(part for part in parts if part)


def _each(value: Any) -> Iterable[Any]:  # noqa: ANN401
    return value if isinstance(value, MultiValue | list | tuple) else (value,)


def _decode(value: bytes) -> list[str] | str:
    """Private text comes as bytes where its VR got lost on the way (PS3.5 6.2.2)."""
    text = value.strip(PADDING.encode()).decode("ascii", errors="replace")
    return text.split("\\") if text.isprintable() and "\ufffd" not in text else BYTES
