"""Mosaic: the slices of a Siemens mosaic, which lie side by side in one picture.

Siemens writes echo planar MR as one picture for each volume: tiles from left to right, then down, the last ones black.
Image Position (Patient) is that of the whole picture, as if it were one large slice with the volume in its middle; how
many slices there are and which way they run stands in the private CSA header (syngo MR up to version E).
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom import DataElement
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.valuerep import DSfloat

from operators.core.header import PARSE_ERRORS, attribute, read_numbers, read_value, standard_copy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from pydicom import Dataset

NUMBER_OF_IMAGES_IN_MOSAIC = (0x0019, 0x100A)
"""Private element of SIEMENS MR HEADER; the same number stands in the CSA header."""
MOST_TILES = 1024


@dataclass(frozen=True)
class Tile:
    """Part of a picture.

    Attributes:
        index: Place among the slices, from 0.
        row: First row in the picture.
        column: First column in the picture.
        rows: Rows of the tile.
        columns: Columns of the tile.
        certain: Whether the header says how many tiles are slices and which way they run; else black tiles at the
            end may be among them, and the volume may be upside down.
    """

    index: int
    row: int
    column: int
    rows: int
    columns: int
    certain: bool


def is_mosaic(header: Dataset) -> bool:
    """Whether Image Type (0008,0008) says that a picture is a mosaic."""
    value = read_value(header, "ImageType")
    return isinstance(value, MultiValue | list) and "MOSAIC" in value


def read_mosaic(header: Dataset) -> Iterator[tuple[Tile, Dataset]]:
    """The tiles of a mosaic with a header for each.

    Where no header says how many slices there are, all tiles that the acquisition matrix leaves room for are taken;
    where none says which way they run, the normal of the slices is. `Tile.certain` says so.

    Args:
        header: The mosaic's header.

    Yields:
        Tiles in the order of the slices, with Rows, Columns and Image Position (Patient) of the slice.

    Raises:
        ValueError: If the tiles do not fit into the picture, or the distance between slices is missing.
    """
    rows, columns = int(header.Rows), int(header.Columns)
    count, grid = _count_and_grid(header, rows, columns)
    tile_rows, tile_columns = rows // grid, columns // grid
    step, corner = _slice_step(header), _first_position(header, tile_rows, tile_columns)
    certain = count is not None and _csa(header).normal is not None
    for index in range(count or grid * grid):
        tile = Tile(
            index, index // grid * tile_rows, index % grid * tile_columns, tile_rows, tile_columns, certain=certain
        )
        flat = standard_copy(header)
        position = [DSfloat(float(v), auto_format=True) for v in corner + index * step]
        for keyword, vr, value in (
            ("Rows", "US", tile_rows),
            ("Columns", "US", tile_columns),
            ("ImagePositionPatient", "DS", position),
        ):
            flat[keyword] = DataElement(Tag(keyword), vr, value)
        yield tile, flat


def _count_and_grid(header: Dataset, rows: int, columns: int) -> tuple[int | None, int]:
    """Number of slices, where it is known, and tiles along each side of the picture.

    Raises:
        ValueError: If the tiles do not fit into the picture.
    """
    count = _stated_count(header)
    grid = math.ceil(math.sqrt(count)) if count else _grid_of_matrix(header, rows, columns)
    if not 1 <= grid * grid <= MOST_TILES or rows % grid or columns % grid:
        raise ValueError(f"a picture of {rows} x {columns} does not divide into {grid} x {grid} tiles")
    return count, grid


def _stated_count(header: Dataset) -> int | None:
    """Number Of Images In Mosaic, from the private element or the CSA header."""
    element = header.get(NUMBER_OF_IMAGES_IN_MOSAIC)
    count = _csa(header).count if element is None else element.value
    return int(count) if count is not None and str(count).isdigit() and int(count) > 0 else None


def _grid_of_matrix(header: Dataset, rows: int, columns: int) -> int:
    """Tiles along each side, from Acquisition Matrix (0018,1310): two of its four numbers are zero.

    Raises:
        ValueError: If it does not say.
    """
    matrix = [int(v) for v in read_value(header, "AcquisitionMatrix") or () if int(v) > 0]
    if not matrix:
        raise ValueError(f"neither a CSA header nor {attribute('AcquisitionMatrix')} says how large a tile is")
    return max(1, max(rows, columns) // max(matrix))


def _slice_step(header: Dataset) -> NDArray[np.float64]:
    """`(3,)`: from one slice to the next, mm in LPS.

    Raises:
        ValueError: If the distance between slices or the orientation is missing.
    """
    orientation = _vector(header, "ImageOrientationPatient", 6)
    normal = np.cross(orientation[:3], orientation[3:])
    distance = float(_vector(header, "SpacingBetweenSlices", 1)[0])
    if distance <= 0:
        raise ValueError(f"{attribute('SpacingBetweenSlices')} is not above 0")
    stated = _csa(header).normal
    against = stated is not None and float(np.dot(stated, normal)) < 0
    return np.asarray(normal * distance * (-1 if against else 1))


def _first_position(header: Dataset, tile_rows: int, tile_columns: int) -> NDArray[np.float64]:
    """`(3,)`: centre of the first voxel of the first slice; the tile lies in the middle of the picture's plane."""
    orientation = _vector(header, "ImageOrientationPatient", 6)
    between_rows, between_columns = _vector(header, "PixelSpacing", 2)
    corner = _vector(header, "ImagePositionPatient", 3)
    corner = corner + orientation[:3] * between_columns * (int(header.Columns) - tile_columns) / 2
    return np.asarray(corner + orientation[3:] * between_rows * (int(header.Rows) - tile_rows) / 2)


def _vector(header: Dataset, keyword: str, count: int) -> NDArray[np.float64]:
    """So many finite numbers.

    Raises:
        ValueError: If they are none.
    """
    found = read_numbers(header, keyword)
    if found is None or found.shape != (count,) or not np.isfinite(found).all():
        raise ValueError(f"{attribute(keyword)} is not {count} finite numbers")
    return found


@dataclass(frozen=True, eq=False)
class _CSA:
    """What the CSA image header says of a mosaic, where it can be read."""

    count: int | None = None
    normal: NDArray[np.float64] | None = None


def _csa(header: Dataset) -> _CSA:
    with warnings.catch_warnings():
        # nibabel says on import that its readers are experimental; the two fields used here are stable since 2010.
        warnings.simplefilter("ignore")
        from nibabel.nicom import csareader
    try:
        found: dict[str, Any] | None = csareader.get_csa_header(header, "image")  # type: ignore[no-untyped-call]
        if found is None:
            return _CSA()
        count, normal = csareader.get_n_mosaic(found), csareader.get_slice_normal(found)  # type: ignore[no-untyped-call]
        return _CSA(count, normal)
    except (csareader.CSAReadError, AssertionError, *PARSE_ERRORS):
        return _CSA()
