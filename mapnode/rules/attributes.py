"""Attributes: which DICOM attributes a clause can name, what kind of values they have, and which identify a patient."""

from __future__ import annotations

import re
from difflib import get_close_matches
from enum import Enum

from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_dict, keyword_for_tag, tag_for_keyword
from pydicom.tag import BaseTag, Tag

TAG_FORM = re.compile(r"([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})")
FIRST_IMAGE_GROUP = 0x0008
"""Groups below describe a transfer or a file (PS3.7, PS3.10 7.1), not the image."""
FIRST_PIXEL_GROUP = 0x7FE0
"""From here on there are pixels and signatures; headers are read up to here."""

NUMBER_VRS = frozenset({"DS", "IS", "FD", "FL", "SL", "SS", "SV", "UL", "US", "UV"})
OPAQUE_VRS = frozenset({"SQ", "OB", "OD", "OF", "OL", "OV", "OW", "UN"})
"""Items and bytes: that they are there is all that a clause can ask (PS3.5 6.2)."""
FORMATTED_VRS = frozenset({"AS", "AT", "DA", "DT", "PN", "TM", "UI"})
"""Text in which digits are no plain number, such as an age of 045Y."""

IDENTIFYING_VRS = frozenset({"PN", "DA", "DT", "LT", "ST", "UT"})
"""Names, dates and free text."""
IDENTIFYING_GROUPS = frozenset({0x0010, 0x0012, 0x0038})
"""The patient, the subject of a trial, the visit."""
IDENTIFYING_KEYWORDS = frozenset({
    "AccessionNumber",
    "FillerOrderNumberImagingServiceRequest",
    "PerformedProcedureStepID",
    "PlacerOrderNumberImagingServiceRequest",
    "ReasonForStudy",
    "RequestedProcedureID",
    "ScheduledProcedureStepID",
    "StudyID",
})
"""Identifiers that lead to the patient, from PS3.15 table E.1-1."""


class Kind(Enum):
    """What a clause can compare an attribute with."""

    NUMBER = "number"
    TEXT = "text"
    FORMATTED = "formatted text"
    OPAQUE = "no plain value"


def canonical_name(text: str) -> str:
    """The name under which an attribute is known here: its keyword, or its tag where it has none.

    Args:
        text: Keyword or tag of an attribute of the data set.

    Returns:
        The keyword of the dictionary (PS3.6), or `gggg,eeee` in lower case.

    Raises:
        ValueError: If there is no such attribute, or rules cannot see it, with the fix.

    Examples:
        >>> canonical_name("0008,0060"), canonical_name("0029,10AB")
        ('Modality', '0029,10ab')
    """
    tag = _find_tag(text)
    if tag.group < FIRST_IMAGE_GROUP:
        raise ValueError(
            f"{text!r} belongs to the transfer, not to the image; for AE titles use `fact: calling_aet`, `called_aet`"
        )
    if tag.group >= FIRST_PIXEL_GROUP:
        raise ValueError(f"{text!r} lies behind the header; rules see attributes before Pixel Data only")
    return name_of(tag)


def tag_of(name: str) -> BaseTag:
    """The tag of a canonical name."""
    form = TAG_FORM.fullmatch(name)
    return Tag(int(form[1], 16), int(form[2], 16)) if form else Tag(name)


def name_of(tag: BaseTag) -> str:
    """The canonical name of a tag."""
    keyword = keyword_for_tag(tag)
    # Repeating groups (60xx) share a keyword, which then names no single attribute.
    known = keyword and tag_for_keyword(keyword) == tag
    return keyword if known else f"{tag.group:04x},{tag.element:04x}"


def kind_of(name: str) -> Kind:
    """What the values of an attribute are; a private attribute counts as text.

    Examples:
        >>> kind_of("SliceThickness"), kind_of("PatientAge").value
        (<Kind.NUMBER: 'number'>, 'formatted text')
    """
    # Where the dictionary leaves a choice ("US or SS"), all its members are of one kind, or the first is the plain one.
    vr = vr_of(name).split(" or ")[0]
    if vr in NUMBER_VRS:
        return Kind.NUMBER
    if vr in OPAQUE_VRS:
        return Kind.OPAQUE
    return Kind.FORMATTED if vr in FORMATTED_VRS else Kind.TEXT


def vr_of(name: str) -> str:
    """Value Representation from the dictionary, empty for private attributes."""
    tag = tag_of(name)
    return dictionary_VR(tag) if _is_known(tag) else ""


def is_identifying(name: str) -> bool:
    """Whether values of the attribute may lead to a patient, so that they are neither stored nor printed.

    Examples:
        >>> is_identifying("PatientID"), is_identifying("SeriesDescription"), is_identifying("0029,10ab")
        (True, False, True)
    """
    tag = tag_of(name)
    return (
        tag.is_private
        or tag.group in IDENTIFYING_GROUPS
        or vr_of(name) in IDENTIFYING_VRS
        or name in IDENTIFYING_KEYWORDS
    )


def _find_tag(text: str) -> BaseTag:
    """The tag of a keyword or of a written tag.

    Raises:
        ValueError: If it is neither, or not in the dictionary.
    """
    form = TAG_FORM.fullmatch(text)
    if form:
        tag = tag_of(text)
        if not tag.is_private and not _is_known(tag):
            raise ValueError(f"the tag {text} is not in the DICOM dictionary; check its digits")
        return tag
    number = tag_for_keyword(text)
    if number is None:
        raise ValueError(f"{text!r} is no DICOM keyword; {_suggestion(text)}")
    return Tag(number)


def _is_known(tag: BaseTag) -> bool:
    """Whether the dictionary has the tag, alone or as one of a repeating group."""
    return dictionary_has_tag(tag) or bool(keyword_for_tag(tag))


def _suggestion(text: str) -> str:
    digits = re.sub(r"[^0-9A-Fa-f]", "", text)
    if len(digits) in {4, 8} and not re.search(r"[G-Zg-z]", text):
        tag = f"{digits[:4]},{digits[4:]}" if len(digits) == 8 else "gggg,eeee"
        return f'write a tag in quotes, as "{tag}"'
    folded = {keyword.casefold(): keyword for keyword in keyword_dict}
    near = get_close_matches(text.replace(" ", "").casefold(), folded, n=1)
    return f"did you mean {folded[near[0]]}?" if near else "write its keyword (PS3.6, such as SeriesDescription)"
