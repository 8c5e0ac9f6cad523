"""Source references: which images and which SEG a picture or a document was made from."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from highdicom.sr import CodedConcept
from pydicom import Dataset
from pydicom.sr.codedict import codes

from operators.write.stand_ins import image_references

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from operators.core.volume import Volume

SOURCE_IMAGE = codes.DCM.SourceImageForImageProcessingOperation


def source_image_items(volume: Volume, shown: Iterable[int], seg: Dataset) -> list[Dataset]:
    """Source Image Sequence (0008,2112) of a picture: the slices that it shows, and the SEG (PS3.3 C.7.6.1.1.4).

    Args:
        volume: The source.
        shown: Indices of slices.
        seg: The SEG.

    Returns:
        One item an image or frame, with its purpose.
    """
    images = (image_references([volume.slices[index]]) for index in shown)
    items = [*itertools.chain.from_iterable(images), _instance_item(seg)]
    for item in items:
        item.PurposeOfReferenceCodeSequence = [CodedConcept.from_code(SOURCE_IMAGE)]
    return items


def source_instance_items(volume: Volume, seg: Dataset) -> list[Dataset]:
    """Source Instance Sequence (0042,0013) of a document: all that it was made from (PS3.3 C.24.2)."""
    return [_instance_item(dataset) for dataset in _distinct(volume, seg)]


def referenced_series_items(volume: Volume, seg: Dataset) -> list[Dataset]:
    """Referenced Series Sequence (0008,1115): source and SEG, series by series (PS3.3 C.12.2)."""
    by_series: dict[str, list[Dataset]] = {}
    for dataset in _distinct(volume, seg):
        by_series.setdefault(str(dataset.SeriesInstanceUID), []).append(_instance_item(dataset))
    return [_series_item(uid, items) for uid, items in by_series.items()]


def _series_item(uid: str, instances: Sequence[Dataset]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = uid
    item.ReferencedInstanceSequence = list(instances)
    return item


def _distinct(volume: Volume, seg: Dataset) -> list[Dataset]:
    """Each instance once: the slices of an enhanced image share theirs."""
    datasets = {str(dataset.SOPInstanceUID): dataset for dataset in (*(s.header for s in volume.slices), seg)}
    return list(datasets.values())


def _instance_item(dataset: Dataset) -> Dataset:
    """SOP Instance Reference Macro (PS3.3 Table 10-11)."""
    item = Dataset()
    item.ReferencedSOPClassUID = dataset.SOPClassUID
    item.ReferencedSOPInstanceUID = dataset.SOPInstanceUID
    return item
