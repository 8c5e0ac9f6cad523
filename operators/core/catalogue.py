"""Catalogue: what segments are called, how they are coded and what colour they are shown in, from catalogue.yaml."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydicom.sr.coding import Code

from operators.core.label_map import Segment
from operators.core.plain_yaml import read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping

CATALOGUE = Path(__file__).with_name("catalogue.yaml")

Channel = Annotated[int, Field(ge=0, le=255, strict=True)]
Text = Annotated[str, Field(min_length=1, max_length=64, strict=True)]
"""Code Meaning (0008,0104) and Segment Label (0062,0005) are LO (PS3.5 6.2)."""


class CatalogueError(Exception):
    """A catalogue that is no YAML, or not what the schema says."""


class UnknownSegment(LookupError):
    """A name that the catalogue does not have.

    Attributes:
        name: The name asked for.
        nearest: Names of the catalogue that come closest to it.
    """

    def __init__(self, name: str, nearest: tuple[str, ...]) -> None:
        self.name = name
        self.nearest = nearest
        super().__init__(f"the catalogue has no segment {name}; take a name of it: {', '.join(nearest)} come nearest")


@dataclass(frozen=True)
class Entry:
    """What the catalogue says about one segment.

    Attributes:
        name: Key in result.json and in rules.
        label: Segment Label (0062,0005), for people.
        category: Segmented Property Category (PS3.16 CID 7150).
        type: Segmented Property Type (PS3.16 CID 7151 and what it includes).
        colour: Display colour, 8-bit RGB.
        region: Anatomic Region, where it is part of the meaning.
        modifier: Laterality (PS3.16 CID 244) of the region where there is one, else of the type.
        unverified: Why the code of the type is not to be relied on before it was looked up; None where it may be.
    """

    name: str
    label: str
    category: Code
    type: Code
    colour: tuple[int, int, int]
    region: Code | None = None
    modifier: Code | None = None
    unverified: str | None = None

    def segment(self, number: int, labels: tuple[int, ...]) -> Segment:
        """The segment of a label map.

        Args:
            number: Segment Number (0062,0004), from 1.
            labels: Values in the label map that belong to the segment.

        Returns:
            The segment, with the names, codes and colour of this entry.
        """
        return Segment(
            number=number,
            name=self.name,
            label=self.label,
            labels=labels,
            category=self.category,
            type=self.type,
            colour=self.colour,
            region=self.region,
            modifier=self.modifier,
        )


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _Concept(_Part):
    """A code, and where it was read if DICOM does not list it."""

    value: str = Field(pattern=r"^\d{5,18}$", strict=True)
    scheme: Literal["SCT", "DCM"]
    meaning: Text
    source: str | None = None
    unverified: str | None = None

    @property
    def code(self) -> Code:
        return Code(self.value, self.scheme, self.meaning)


class _Row(_Part):
    """A segment; its codes are names of concepts."""

    label: Text
    category: str
    type: str
    region: str | None = None
    modifier: str | None = None
    colour: tuple[Channel, Channel, Channel]


class _File(_Part):
    """catalogue.yaml."""

    sources: dict[str, str]
    concepts: dict[str, _Concept]
    segments: dict[Annotated[str, Field(pattern="^[a-z][A-Za-z0-9_]*$")], _Row]


@cache
def catalogue() -> Mapping[str, Entry]:
    """The entries of catalogue.yaml by name, in the order of the file; read once."""
    return MappingProxyType(read_catalogue(CATALOGUE))


def entry(name: str) -> Entry:
    """The entry of that name.

    Raises:
        UnknownSegment: If there is none; it names those that come nearest.

    Examples:
        >>> entry("kidney_left").type.meaning, entry("kidney_left").modifier.meaning
        ('Kidney', 'Left')
    """
    entries = catalogue()
    if name not in entries:
        raise UnknownSegment(name, _nearest(name, entries))
    return entries[name]


def segment(name: str, number: int, labels: tuple[int, ...]) -> Segment:
    """The catalogue's segment of that name.

    Args:
        name: Name in the catalogue.
        number: Segment Number (0062,0004), from 1.
        labels: Values in the label map that belong to the segment.

    Returns:
        The segment, with the catalogue's label, codes and colour.

    Raises:
        UnknownSegment: If the catalogue has no such name.
    """
    return entry(name).segment(number, labels)


def read_catalogue(path: Path) -> dict[str, Entry]:
    """Read and check a catalogue.

    Args:
        path: The file.

    Returns:
        Its entries by name, in the order of the file.

    Raises:
        CatalogueError: If the file has a wrong key or value, or names a concept or a source that it does not define.
    """
    try:
        content = _File.model_validate(read_yaml(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise CatalogueError(f"{path.name}: {wrong}") from error
    except (yaml.YAMLError, ValueError) as error:
        # PyYAML lets bytes that are no UTF-8 and dates that are none escape as ValueError.
        raise CatalogueError(f"{path.name}: no YAML: {error}") from error
    for name, concept in content.concepts.items():
        if concept.source is not None and concept.source not in content.sources:
            raise CatalogueError(f"{path.name}: concept {name} has the source {concept.source}; add it to sources")
    for name, row in content.segments.items():
        missing = {row.category, row.type, row.region, row.modifier} - {None} - content.concepts.keys()
        if missing:
            raise CatalogueError(
                f"{path.name}: segment {name} names {', '.join(map(str, missing))}; add it to concepts"
            )
    return {name: _entry(name, row, content.concepts) for name, row in content.segments.items()}


def _entry(name: str, row: _Row, concepts: Mapping[str, _Concept]) -> Entry:
    """The row with codes in place of the names of concepts."""
    return Entry(
        name=name,
        label=row.label,
        category=concepts[row.category].code,
        type=concepts[row.type].code,
        colour=row.colour,
        region=None if row.region is None else concepts[row.region].code,
        modifier=None if row.modifier is None else concepts[row.modifier].code,
        unverified=concepts[row.type].unverified,
    )


def _nearest(name: str, names: Mapping[str, Entry], count: int = 3) -> tuple[str, ...]:
    """Names most like one that is not there, whatever the order of its words: left_kidney finds kidney_left."""
    wanted = _words(name)
    likeness = {other: SequenceMatcher(None, wanted, _words(other)).ratio() for other in names}
    return tuple(sorted(likeness, key=likeness.__getitem__, reverse=True)[:count])


def _words(name: str) -> str:
    return " ".join(sorted(name.lower().replace("-", "_").replace(" ", "_").split("_")))
