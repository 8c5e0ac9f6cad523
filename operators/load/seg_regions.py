"""SEG regions: the masks of a Segmentation, frame by frame, on the grid that its frames lie on (PS3.3 A.51, A.95).

Frames are placed by what they say of their position, never by their order or by the images that they refer to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydicom.pixels.utils import iter_pixels

from operators.core.dicom_file import inflate, open_file
from operators.core.errors import InputRefused
from operators.core.findings import Finding, FindingCode
from operators.core.frame_geometry import CAUSES, frame_problems, planes_along
from operators.core.frame_table import read_frames
from operators.core.header import PARSE_ERRORS, attribute, read_text, read_value, transfer_syntax
from operators.core.pixels import LARGEST_VOLUME_BYTES
from operators.core.segmentation_checks import TYPES
from operators.core.segmented_regions import Grid, RegionBuilder
from operators.load.described_segments import background_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from pydicom import Dataset

    from operators.core.frame_table import FrameTable
    from operators.core.label_map import Segment
    from operators.core.reading import Instance
    from operators.core.segmented_regions import Region
    from operators.core.source_planes import SourcePlanes

ON_A_PLANE = 0.02
"""How far a frame may lie from a plane, in parts of the distance between planes, to lie in it."""
PARALLEL = 1 - 1e-6
"""Cosine from which normals are parallel."""
SEND_AGAIN = "send the Segmentation as its maker wrote it"


def regions_of_seg(
    instance: Instance, segments: Sequence[Segment], source: Grid, planes: SourcePlanes, threshold: float
) -> tuple[Region, ...]:
    """The regions of a SEG, one a segment, in the order of its segments.

    Args:
        instance: BINARY, FRACTIONAL or LABELMAP.
        segments: What it says of its segments.
        source: The grid of the images that it refers to.
        planes: Those images.
        threshold: Fraction from which a voxel of a FRACTIONAL SEG belongs to its segment.

    Returns:
        The regions; a segment without a voxel has an empty one.

    Raises:
        InputRefused: If its frames do not lie on one grid, lie on other images than those that they name, or do not
            decode.
    """
    table = _table(instance)
    matrix = int(read_value(instance.header, "Rows") or 0), int(read_value(instance.header, "Columns") or 0)
    _require_geometry(instance, table, matrix, planes)
    grid, index = _grid(instance, table, matrix, source)
    builders = {segment.number: RegionBuilder() for segment in segments}
    try:
        for number, plane, mask in _masks(instance, table, index, threshold):
            if number not in builders:
                raise InputRefused(
                    _refusal(instance, f"a frame has the segment {number}, which is not described; {SEND_AGAIN}")
                )
            builders[number].add(plane, mask)
    except PARSE_ERRORS as error:
        raise InputRefused(_refusal(
            instance, f"its pixels cannot be decoded ({type(error).__name__}); {SEND_AGAIN}",
            FindingCode.UNDECODABLE_PIXELS,
        )) from error  # fmt: skip
    return tuple(builders[s.number].region(s, grid, _remark(instance.header, threshold)) for s in segments)


def _table(instance: Instance) -> FrameTable:
    """The frames.

    Raises:
        InputRefused: If they are not described, or not as many as there are.
    """
    try:
        table = read_frames(instance.header)
        count = int(read_value(instance.header, "NumberOfFrames") or 0)
    except PARSE_ERRORS as error:
        raise InputRefused(
            _refusal(instance, f"its frames cannot be read ({type(error).__name__}); {SEND_AGAIN}")
        ) from error
    if not count or len(table) != count:
        raise InputRefused(
            _refusal(
                instance,
                f"{attribute('NumberOfFrames')} is {count}, but {len(table)} frames are described; {SEND_AGAIN}",
            )
        )
    if read_value(instance.header, "TotalPixelMatrixRows") is not None:
        raise InputRefused(
            _refusal(instance, "its frames are tiles of a slide, which have no slices; only volumes are measured")
        )
    return table


def _require_geometry(instance: Instance, table: FrameTable, matrix: tuple[int, int], planes: SourcePlanes) -> None:
    """Refuse frames that say nowhere, are on no grid, or lie on another image than the one that they name.

    Another matrix, orientation or spacing than the images' is a grid of its own, which is measured where it lies.

    Raises:
        InputRefused: If so.
    """
    problems = frame_problems(table, matrix)
    if not problems:
        problems = [p for p in frame_problems(table, matrix, planes) if CAUSES["slice"] in p]
    if problems:
        raise InputRefused(_refusal(instance, f"{'; '.join(problems)}; {SEND_AGAIN}"))


def _grid(
    instance: Instance, table: FrameTable, matrix: tuple[int, int], source: Grid
) -> tuple[Grid, NDArray[np.int64]]:
    """The grid of the frames, and the slice of each frame in it.

    Raises:
        InputRefused: If it is larger than any scan.
    """
    row, column = table.orientations[0, :3], table.orientations[0, 3:]
    planes, plane_of = planes_along(table)
    step = _step_mm(instance, table, planes, matrix, source)
    # Gap by gap: a stated distance that is rounded would drift away over many slices.
    index = np.concatenate([[0], np.cumsum(np.maximum(np.round(np.diff(planes) / step), 1))]).astype(np.int64)
    slices = int(index[-1]) + 1
    if slices * matrix[0] * matrix[1] > LARGEST_VOLUME_BYTES:
        raise InputRefused(_refusal(instance, f"its frames span {slices} slices, more than any scan; {SEND_AGAIN}"))
    first, last = (table.positions[plane_of == plane][0] for plane in (0, len(planes) - 1))
    affine = np.eye(4)
    # Frames of a tilted stack do not lie one above the other.
    affine[:3, 0] = (last - first) / (slices - 1) if slices > 1 else np.cross(row, column) * step
    affine[:3, 1], affine[:3, 2] = column * table.spacings[0, 0], row * table.spacings[0, 1]
    affine[:3, 3] = first
    return Grid((slices, *matrix), affine), index[plane_of]


def _step_mm(
    instance: Instance, table: FrameTable, planes: NDArray[np.float64], matrix: tuple[int, int], source: Grid
) -> float:
    """Distance between slices in mm.

    Frames of empty slices are left out: a gap does not tell a missing slice from a thick one. Where frames have the
    pixels of the source and lie on its planes the distance is the source's; elsewhere it is Spacing Between Slices
    (PS3.3 C.7.6.16.2.1), or that of the planes of the source that they lie on, or the smallest gap.

    Raises:
        InputRefused: If nothing says it, or Spacing Between Slices is another one than that of the source whose pixels
            the frames have.
    """
    stated = float(table.between[0, 0])
    source_step = _step_of(source, table, planes)
    has_its_pixels = matrix == source.shape[1:] and np.allclose(table.spacings[0], source.spacing_mm[1:], rtol=1e-3)
    if source_step and has_its_pixels and stated > 0 and abs(stated / source_step - 1) > ON_A_PLANE:
        raise InputRefused(
            _refusal(
                instance,
                f"{attribute('SpacingBetweenSlices')} is {stated:g} mm, but its frames lie on images that are "
                f"{source_step:g} mm apart: how high its voxels are cannot be told; {SEND_AGAIN}",
            )
        )
    if stated > 0 and not (source_step and has_its_pixels):
        return stated
    if source_step:
        return source_step
    if len(planes) > 1:
        return float(np.diff(planes).min())
    raise InputRefused(
        _refusal(
            instance,
            f"it has one slice, which lies on no image, and no {attribute('SpacingBetweenSlices')}: how high its "
            f"voxels are cannot be told; {SEND_AGAIN}",
        )
    )


def _step_of(source: Grid, table: FrameTable, planes: NDArray[np.float64]) -> float | None:
    """Distance between the planes of the source, where all frames lie on them; None where they do not."""
    normal = np.cross(table.orientations[0, :3], table.orientations[0, 3:])
    other = np.cross(source.affine_lps[:3, 2], source.affine_lps[:3, 1])
    if abs(float(other @ normal)) < float(np.linalg.norm(other)) * PARALLEL:
        return None
    step = abs(float(source.affine_lps[:3, 0] @ normal))
    offsets = (planes - source.affine_lps[:3, 3] @ normal) / step
    return step if float(np.abs(offsets - np.round(offsets)).max()) < ON_A_PLANE else None


def _masks(
    instance: Instance, table: FrameTable, index: NDArray[np.int64], threshold: float
) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    """Segment Number, slice and mask of each frame, and in a label map of each label of it."""
    kind = read_text(instance.header, "SegmentationType")
    at_least = _at_least(instance, kind, threshold)
    background = background_of(instance.header)
    for number, plane, values in zip(table.segments, index, _frames(instance, len(table)), strict=True):
        if kind == "LABELMAP":
            yield from (
                (label, int(plane), values == label) for label in np.unique(values).tolist() if label != background
            )
        else:
            yield int(number), int(plane), values >= at_least


def _at_least(instance: Instance, kind: str, threshold: float) -> int:
    """Stored value from which a voxel belongs to the segment (PS3.3 C.8.20.2.3).

    Raises:
        InputRefused: If the object does not say what its values mean.
    """
    if kind not in TYPES[read_text(instance.header, "SOPClassUID")]:
        raise InputRefused(
            _refusal(instance, f"{attribute('SegmentationType')} is none of its SOP Class; {SEND_AGAIN}")
        )
    if kind != "FRACTIONAL":
        return 1
    most = int(read_value(instance.header, "MaximumFractionalValue") or 0)
    if not most > 0:
        raise InputRefused(_refusal(instance, f"{attribute('MaximumFractionalValue')} is absent; {SEND_AGAIN}"))
    # Divided and not multiplied: 0.55 x 100 is more than 55 in binary numbers, 55 / 100 is what 0.55 is.
    return next(value for value in range(most + 1) if value / most >= threshold)


def _frames(instance: Instance, count: int) -> Iterator[NDArray[Any]]:
    """Stored values `(rows, columns)` of each frame."""
    if read_value(instance.header, "BitsAllocated") == 1 and not transfer_syntax(instance.header).is_encapsulated:
        return _bit_frames(instance, count)
    return iter_pixels(instance.path, raw=True)


def _bit_frames(instance: Instance, count: int) -> Iterator[NDArray[np.uint8]]:
    """Frames of one bit a pixel, lowest bit first, without a gap between them (PS3.5 8.1.1).

    pydicom 3.0.2 reads whole bytes for each frame, and stops at frames that do not end with one.
    """
    pixels = instance.pixels
    if pixels is None:
        return
    rows, columns = (int(read_value(instance.header, keyword) or 0) for keyword in ("Rows", "Columns"))
    size = rows * columns
    with open_file(instance.path) as file:
        source = inflate(file)[0] if pixels.inflated else file
        for first in range(0, count * size, size):
            source.seek(pixels.offset + first // 8)
            data = np.frombuffer(source.read((first % 8 + size + 7) // 8), np.uint8)
            bits = np.unpackbits(data, bitorder="little")[first % 8 : first % 8 + size]
            yield bits.reshape(rows, columns)


def _remark(header: Dataset, threshold: float) -> str:
    """How a FRACTIONAL segment became a mask."""
    if read_text(header, "SegmentationType") != "FRACTIONAL":
        return ""
    kind = read_text(header, "SegmentationFractionalType").lower() or "value"
    return f"A voxel belongs to the segment where its {kind} is at least {threshold:g}."


def _refusal(instance: Instance, why: str, code: FindingCode = FindingCode.UNFIT_SEGMENTATION) -> list[Finding]:
    return [Finding(code, f"Segmentation {instance.uid}: {why}", instances=(instance.uid,))]
