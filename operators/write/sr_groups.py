"""SR groups: the measurement groups of a TID 1500 report, one function a kind (PS3.16 TID 1411, 1410, 1501)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from highdicom import sr
from highdicom.sr import RelationshipTypeValues as Relation

from operators.core import codes, defaults
from operators.core.found_segments import found_segments, plane_of
from operators.core.levels import CENTRE_TEXT, VERTEBRAE
from operators.core.measurements import Measurement
from operators.core.mosaic import is_mosaic
from operators.write.sr_places import location_of, region_of
from operators.write.write_segmentation import tracking_id, tracking_uid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pydicom import Dataset
    from pydicom.sr.coding import Code

    from operators.core.identity import ResultIdentity
    from operators.core.label_map import Algorithm, LabelMap, Segment
    from operators.core.measurements import DerivedValue, KeySlice, SegmentMeasurements
    from operators.core.volume import Volume

WHOLE_TEXT = "the whole segment in the scan"

Group: TypeAlias = (
    sr.MeasurementsAndQualitativeEvaluations
    | sr.PlanarROIMeasurementsAndQualitativeEvaluations
    | sr.VolumetricROIMeasurementsAndQualitativeEvaluations
)


@dataclass(frozen=True)
class Context:
    """What every group of one report needs.

    Attributes:
        algorithm: The algorithm, for TID 4019.
        identity: Tracking UIDs derive from it.
    """

    algorithm: Algorithm
    identity: ResultIdentity

    @property
    def algorithm_id(self) -> sr.AlgorithmIdentification:
        """TID 4019."""
        return sr.AlgorithmIdentification(
            name=self.algorithm.name,
            version=self.algorithm.version,
            family=self.algorithm.family,
            manufacturer=defaults.MANUFACTURER,
            parameters=[f"model digest {self.algorithm.digest}"],
        )

    def tracking(self, name: str) -> sr.TrackingIdentifier:
        """Tracking of what is no segment; viewers merge groups that share a Tracking UID (OHIF 3.13)."""
        return sr.TrackingIdentifier(
            uid=self.identity.uid(f"tracking/{name}"), identifier=f"{self.identity.app}/{name}"
        )

    def tracking_of(self, segment: Segment) -> sr.TrackingIdentifier:
        """Tracking of a segment, as in the SEG."""
        return sr.TrackingIdentifier(
            uid=tracking_uid(segment, self.identity), identifier=tracking_id(segment, self.identity)
        )


def volumetric_groups(
    volume: Volume,
    label_map: LabelMap,
    seg: Dataset,
    measurements: Sequence[SegmentMeasurements],
    context: Context,
) -> Iterator[sr.VolumetricROIMeasurementsAndQualitativeEvaluations]:
    """One TID 1411 group for each segment that is in the SEG."""
    by_name = {measured.segment_name: measured for measured in measurements}
    series_uid = str(volume.slices[0].header.SeriesInstanceUID)
    for found in found_segments(label_map):
        segment = found.segment
        group = sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=context.tracking_of(segment),
            referenced_segment=sr.ReferencedSegment(
                sop_class_uid=seg.SOPClassUID,
                sop_instance_uid=seg.SOPInstanceUID,
                segment_number=found.number,
                source_series=sr.SourceSeriesForSegmentation(series_uid),
            ),
            finding_category=segment.category,
            finding_type=segment.type,
            finding_sites=finding_sites(segment),
            algorithm_id=context.algorithm_id,
            measurements=[measurement_item(m) for m in by_name[segment.name].values],
        )
        index = found.largest_slice
        locate(group, location_of(plane_of(label_map, segment, index), volume.slices[index]))
        add_text(group, codes.COMMENT, f"{segment.label}: {WHOLE_TEXT}")
        yield group


def locate(group: Group, places: Sequence[sr.CoordinatesForMeasurement]) -> None:
    """Say the approximate spatial location below the first number of a group whose region is a segment of a SEG.

    OHIF 3.13 fails on a whole report in which a group has no coordinates; it writes numbers with their own coordinates
    beside these and leaves out the others of the group. TID 1419 knows no such place, and may be extended.
    """
    numbers = [item for item in group[0].ContentSequence if item.ValueType == sr.ValueTypeValues.NUM.value]
    for number in numbers[:1]:
        number.ContentSequence = sr.ContentSequence([*number.get("ContentSequence", []), *places])


def planar_groups(
    volume: Volume, label_map: LabelMap, key_slices: Sequence[KeySlice], context: Context
) -> Iterator[sr.PlanarROIMeasurementsAndQualitativeEvaluations]:
    """One TID 1410 group for each key slice: viewers that draw no SEG in an SR draw these.

    A tile of a mosaic has no image coordinates of its own, so that nothing is drawn on it.
    """
    for row in key_slices:
        source = volume.slices[row.index]
        if is_mosaic(source.header):
            continue
        segment = label_map.segment(row.segment_name)
        region, text = region_of(plane_of(label_map, segment, row.index), source)
        group = sr.PlanarROIMeasurementsAndQualitativeEvaluations(
            tracking_identifier=context.tracking(f"{segment.name}/{row.role}"),
            referenced_region=region,
            finding_category=segment.category,
            finding_type=segment.type,
            finding_sites=[*(finding_sites(segment) or ()), *_level_sites(row.role)] or None,
            algorithm_id=context.algorithm_id,
            measurements=[measurement_item(m) for m in row.values],
        )
        add_text(group, codes.COMMENT, text)
        if row.role in VERTEBRAE:
            add_text(group, codes.COMMENT, f"{VERTEBRAE[row.role].label}: {CENTRE_TEXT}.")
        yield group


def derived_groups(
    volume: Volume, label_map: LabelMap, derived: Iterable[DerivedValue], context: Context
) -> Iterator[sr.MeasurementsAndQualitativeEvaluations]:
    """One TID 1501 group with its equation for each derived value that was computed.

    Its approximate spatial location is inside the first segment that it is computed from: in the slice of its level, or
    in the middle one of the segment's slices. Its Finding Site is the vertebra of its level, or the side that it is of.
    """
    found = {each.segment.name: each for each in found_segments(label_map)}
    for each in derived:
        if each.value is None:
            continue
        first = found[each.segment_names[0]]
        middle = first.slices[len(first.slices) // 2]
        index = middle if each.level is None else label_map.landmarks[each.level]
        location = location_of(plane_of(label_map, first.segment, index), volume.slices[index])
        group = sr.MeasurementsAndQualitativeEvaluations(
            tracking_identifier=context.tracking(f"derived/{each.quantity.name}"),
            finding_sites=_sites_of(each, first.segment) or None,
            algorithm_id=context.algorithm_id,
            measurements=[_derived_measurement(each, each.value, location)],
        )
        add_text(group, codes.COMMENT, each.label)
        yield group


def _sites_of(derived: DerivedValue, segment: Segment) -> list[sr.FindingSite]:
    """Where a derived value is measured, as far as it is one place."""
    side = [] if derived.side is None else [sr.FindingSite(segment.region or segment.type, laterality=derived.side)]
    return [*side, *_level_sites(derived.level)]


def _level_sites(level: str | None) -> list[sr.FindingSite]:
    """The vertebra whose slice a landmark is."""
    return [] if level is None or level not in VERTEBRAE else [sr.FindingSite(VERTEBRAE[level].type)]


def finding_sites(segment: Segment) -> list[sr.FindingSite] | None:
    """Where a segment lies: its region, or its type where only that has a laterality (PS3.16 TID 1410, 1411)."""
    if segment.region is None and segment.modifier is None:
        return None
    topographical = segment.origin.topographical if segment.origin else None
    site = sr.FindingSite(
        segment.region or segment.type, laterality=segment.modifier, topographical_modifier=topographical
    )
    return [site]


def measurement_item(
    measurement: Measurement, places: Sequence[sr.CoordinatesForMeasurement] | None = None
) -> sr.Measurement:
    """TID 300, with its place (TID 320), and with its equation (TID 315) where its code leaves that open."""
    quantity = measurement.quantity
    item = sr.Measurement(
        name=quantity.concept,
        value=measurement.value,
        unit=quantity.ucum,
        derivation=quantity.derivation,
        referenced_coordinates=places,
    )
    if quantity.definition:
        _add_equation(item, quantity.definition)
    return item


def _add_equation(measurement: sr.Measurement, definition: str) -> None:
    equation = sr.TextContentItem(codes.EQUATION, definition, Relation.INFERRED_FROM)
    number = measurement[0]
    number.ContentSequence = sr.ContentSequence([*number.get("ContentSequence", []), equation])


def _derived_measurement(
    derived: DerivedValue, value: float, location: Sequence[sr.CoordinatesForMeasurement]
) -> sr.Measurement:
    """TID 300 with its equation (TID 315) and its place (TID 320)."""
    measurement = measurement_item(Measurement(derived.quantity, value), location)
    _add_equation(measurement, derived.definition)
    return measurement


def add_text(group: Group, name: Code, value: str) -> None:
    """Add a text; the templates may be extended by them."""
    group[0].ContentSequence.append(sr.TextContentItem(name, value, Relation.CONTAINS))
