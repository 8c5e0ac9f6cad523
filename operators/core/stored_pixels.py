"""Stored pixels: the bytes of single frames, read from their files."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import defaultdict
from typing import TYPE_CHECKING, BinaryIO, TypeAlias

from pydicom.encaps import generate_frames

from operators.core.dicom_file import Clamped, inflate, open_file, stamp_of
from operators.core.errors import InputRefused, without_values
from operators.core.findings import Finding, FindingCode
from operators.core.header import PARSE_ERRORS, read_value

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Sequence

    from operators.core.dicom_file import PixelLocation
    from operators.core.frames import Frame
    from operators.core.placement import Placement
    from operators.core.reading import Instance

Bytes: TypeAlias = "bytes | memoryview"
_of_thread = threading.local()
MOST_COMPRESSION = 20_000
"""A black image of 4096 x 4096 shrinks to some thousandth; a header that asks for more is damaged or hostile."""
PIXEL_KEYWORDS = (
    "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "SamplesPerPixel", "PhotometricInterpretation",
    "RescaleSlope", "RescaleIntercept", "PixelPaddingValue", "PixelPaddingRangeLimit",
)  # fmt: skip
"""What stored bytes mean: two images with equal bytes and other values here are not copies of each other."""


def read_frames(instance: Instance, wanted: Sequence[int]) -> Iterator[tuple[int, Bytes]]:
    """Read the stored bytes of frames, one pass over the file.

    Args:
        instance: The instance.
        wanted: Frame Numbers, from 1, ascending.

    Yields:
        Frame Number and its bytes: of the native frame, or of the compressed codestream. The bytes are good until
        the same thread reads the next frame: native frames share one buffer, which stays in the processor's cache.

    Raises:
        InputRefused: If the file changed since its header was read, or does not hold its pixels.
    """
    try:
        with open_file(instance.path, 0 if _is_plain(instance) else -1) as file:
            if instance.stamp is not None and stamp_of(os.fstat(file.fileno())) != instance.stamp:
                raise InputRefused([undecodable(instance, "the file changed while it was read")])
            yield from _frames_in(file, instance, wanted)
    except (*PARSE_ERRORS, RuntimeError) as error:
        raise InputRefused([undecodable(instance, explained(error))]) from error


def explained(error: BaseException) -> str:
    """A foreign error as text: its kind, and what it says without the values and paths that it quotes."""
    return f"{type(error).__name__}: {without_values(str(error))}"


def undecodable(instance: Instance, reason: str) -> Finding:
    """Why the pixels of an instance cannot be used."""
    return Finding(
        FindingCode.UNDECODABLE_PIXELS,
        f"the pixels of {instance.name} cannot be decoded ({reason}); send the instance again",
        (instance.uid,) if instance.uid else (),
        (instance.name,),
    )


def drop_identical(placements: Sequence[Placement]) -> tuple[list[Placement], list[Placement]]:
    """Leave out frames that are copies, to the last bit, of another one at the same position.

    Args:
        placements: Frames of one volume.

    Returns:
        Those kept, of copies the one with the lowest UID, and those left out.
    """
    at: dict[Hashable, list[Placement]] = defaultdict(list)
    for placement in sorted(placements, key=lambda p: (p.frame.instance.uid, str(p.frame.instance.path))):
        at[tuple(placement.position.round(2))].append(placement)
    kept: list[Placement] = []
    dropped: list[Placement] = []
    for same in at.values():
        copies = len(same) > 1 and len({_content(placement.frame) for placement in same}) == 1
        kept += same[:1] if copies else same
        dropped += same[1:] if copies else []
    return kept, dropped


def _content(frame: Frame) -> Hashable:
    """What makes two frames copies of each other; nothing does where the pixels cannot be read."""
    try:
        ((_, stored),) = read_frames(frame.instance, [frame.number])
    except InputRefused:
        return id(frame)
    values = tuple(str(read_value(frame.header, keyword)) for keyword in PIXEL_KEYWORDS)
    return values, frame.instance.pixel_format.syntax, hashlib.sha256(stored).digest()


def _frames_in(file: BinaryIO, instance: Instance, wanted: Sequence[int]) -> Iterator[tuple[int, Bytes]]:
    pixels, syntax = require_pixels(instance), instance.pixel_format.syntax
    if syntax.is_encapsulated:
        yield from _encapsulated(file, instance, pixels, wanted)
    else:
        stream = inflate(file)[0] if pixels.inflated else file
        yield from _native(stream, instance, pixels, wanted)


def require_pixels(instance: Instance) -> PixelLocation:
    """Where the pixels are, if the file can hold as many as its header says.

    Raises:
        ValueError: If there are none, native pixels have another length, or compressed ones could not be so small.
    """
    pixels = instance.pixels
    if pixels is None:
        raise ValueError("there is no Pixel Data")
    form = instance.pixel_format
    expected, there = form.frame_bytes * form.frames, pixels.file_bytes - pixels.offset
    if form.syntax.is_encapsulated:
        if expected > MOST_COMPRESSION * there:
            raise ValueError(f"{there} bytes of compressed pixels cannot hold {expected}")
    # One byte more makes the length even (PS3.5 8.1.1).
    elif pixels.length - expected not in {0, 1} or expected > there:
        found = min(pixels.length, there)
        raise ValueError(f"Pixel Data has {found} bytes, Rows, Columns and Bits Allocated ask for {expected}")
    return pixels


def _native(
    stream: BinaryIO, instance: Instance, pixels: PixelLocation, wanted: Sequence[int]
) -> Iterator[tuple[int, Bytes]]:
    """Frames of equal length, one after the other (PS3.5 8.2).

    Raises:
        EOFError: If the file became shorter.
    """
    frame_bytes = instance.pixel_format.frame_bytes
    buffer = _buffer(frame_bytes)
    for number in wanted:
        stream.seek(pixels.offset + (number - 1) * frame_bytes)
        done = 0
        while done < frame_bytes:
            count = stream.readinto(buffer[done:])  # type: ignore[attr-defined]
            if not count:
                raise EOFError("the file became shorter while it was read")
            done += count
        yield number, buffer


def _buffer(size: int) -> memoryview:
    """This thread's buffer."""
    if len(getattr(_of_thread, "buffer", b"")) < size:
        _of_thread.buffer = bytearray(size)
    return memoryview(_of_thread.buffer)[:size]


def _is_plain(instance: Instance) -> bool:
    inflated = instance.pixels is not None and instance.pixels.inflated
    return not instance.pixel_format.syntax.is_encapsulated and not inflated


def _encapsulated(
    file: BinaryIO, instance: Instance, pixels: PixelLocation, wanted: Sequence[int]
) -> Iterator[tuple[int, Bytes]]:
    """Codestreams in fragments (PS3.5 A.4).

    Raises:
        ValueError: If there are fewer frames than wanted.
    """
    file.seek(pixels.offset)
    frames = generate_frames(Clamped(file, pixels.file_bytes), number_of_frames=instance.pixel_format.frames)
    asked = set(wanted)
    for number, stored in enumerate(frames, start=1):
        if number in asked:
            asked.discard(number)
            yield number, stored
        if not asked:
            return
    raise ValueError(f"{len(asked)} of its frames are not there")
