"""The SEG that highdicom alone builds of the same map: what WriteSegmentation is held to, and timed against."""

import highdicom as hd
import numpy as np
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from operators.core import defaults
from operators.core.probability_map import ProbabilityMap
from operators.write.marking import contributing_equipment, series_description, source_headers, stamp
from operators.write.write_segmentation import SegmentationType, describe_segment

LABELMAPS = {SegmentationType.LABELMAP, SegmentationType.LABELMAP_RLE}


def stock_pixels(label_map):
    """The segments that have a voxel, and what highdicom takes of them: a label map where it can be one."""
    if isinstance(label_map, ProbabilityMap):
        return list(label_map.segments), np.stack(label_map.arrays, axis=-1)
    masks = {s.name: np.isin(label_map.array, s.labels) for s in label_map.segments}
    found = [segment for segment in label_map.segments if masks[segment.name].any()]
    numbers = np.zeros(label_map.array.shape, np.uint8)
    for number, segment in enumerate(found, start=1):
        if numbers[masks[segment.name]].any():
            return found, np.stack([masks[s.name].astype(np.uint8) for s in found], axis=-1)
        numbers[masks[segment.name]] = number
    return found, numbers


def stock_segmentation(volume, label_map, identity, segmentation_type=SegmentationType.BINARY, *, prepared=None):
    """highdicom's object of a LabelMap or ProbabilityMap, stamped as ours."""
    found, pixels = prepared or stock_pixels(label_map)
    algorithm = label_map.algorithm
    dataset = hd.seg.Segmentation(
        source_images=source_headers(volume),
        pixel_array=pixels,
        segmentation_type="LABELMAP" if segmentation_type in LABELMAPS else segmentation_type.upper(),
        segment_descriptions=[describe_segment(n, s, algorithm, identity) for n, s in enumerate(found, start=1)],
        series_instance_uid=identity.uid("seg/series"),
        series_number=defaults.SEG_SERIES_NUMBER,
        sop_instance_uid=identity.uid("seg/instance"),
        instance_number=1,
        manufacturer=defaults.MANUFACTURER,
        manufacturer_model_name=algorithm.name,
        software_versions=algorithm.version,
        device_serial_number=algorithm.digest[:16],
        content_label="SEGMENTATION",
        content_description=algorithm.name,
        contributing_equipment=[contributing_equipment(algorithm, identity)],
        omit_empty_frames=segmentation_type not in LABELMAPS,
        transfer_syntax_uid=RLELossless
        if segmentation_type is SegmentationType.LABELMAP_RLE
        else ExplicitVRLittleEndian,
    )
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = identity.uid("seg/dimensions")
    stamp(dataset, identity, series_description("SEG", identity))
    return dataset
