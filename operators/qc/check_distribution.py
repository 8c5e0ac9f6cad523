"""CheckDistribution: say where a scan is unlike those that the site knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from operators.core.label_map import LabelMap
from operators.core.measurements import SegmentMeasurements
from operators.core.quality import QualityFinding, QualityReport
from operators.core.reference_set import ReferenceSet, ReferenceSetError, read_reference_set
from operators.core.segmented_regions import SegmentedRegions
from operators.core.volume import Volume
from operators.qc.features import features_of
from operators.qc.measure_input import Quantities
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operators.core.reference_set import Distances
    from operators.runtime.application import RunContext

Features = Mapping[str, float | None]
NO_SET = "the site has no reference set for this app (mapnode qc reference)"
MOST_NAMED = 3


@dataclass(frozen=True)
class DistributionParameters:
    """What scans are held against.

    Attributes:
        app: Name of the app.
        version: Its version.
        reference: File with the site's reference set, if it has one.
    """

    app: str
    version: str
    reference: Path | None = None

    @classmethod
    def of(cls, context: RunContext) -> DistributionParameters:
        """Those of a run."""
        app = context.manifest.application
        return cls(app.title, app.version, context.reference_file)


class CheckDistribution(Step):
    """Hold a scan and its segmentation against the site's reference set.

    Unlike is not wrong: the finding is a caution, and names the features that differ most. Without a reference set, or
    with one of another app or version, the report says that this was not checked.

    Named Input:
        volume: Volume.
        label_map: LabelMap or SegmentedRegions.
        measurements: tuple of SegmentMeasurements of it.
        input_quantities: Quantities of the volume; an app may have none.

    Named Output:
        distribution_quality: QualityReport with the scan's features, from which reference sets are made.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume", "label_map", "measurements", "input_quantities")
    output: ClassVar[str] = "distribution_quality"

    def process(
        self,
        volume: Volume,
        label_map: LabelMap | SegmentedRegions,
        measurements: tuple[SegmentMeasurements, ...],
        input_quantities: Quantities = {},  # noqa: B006 - a Mapping: nobody changes it
    ) -> QualityReport:
        """Measure and compare."""
        parameters: DistributionParameters = self.parameters
        return check_distribution(features_of(volume, label_map, measurements, input_quantities), parameters)


def check_distribution(features: Features, parameters: DistributionParameters) -> QualityReport:
    """Hold features against the reference set.

    Args:
        features: Of the scan.
        parameters: Which set.

    Returns:
        The features, and a finding where a distance exceeds its threshold. What no reference scan shows, such as a
        segment of another name, is in neither distance, and said; so is what all of them show and this scan does not.
    """
    try:
        reference = _reference(parameters)
    except ReferenceSetError as error:
        unchecked = f"Not checked: whether the scan is like others of this site; {error}."
        return QualityReport((), (unchecked,), features)
    return QualityReport(_findings(features, reference), tuple(_not_shown(features, reference)), features)


def _reference(parameters: DistributionParameters) -> ReferenceSet:
    """The set, if it is one of this app.

    Raises:
        ReferenceSetError: If there is none, or another app or version made it.
    """
    if parameters.reference is None:
        raise ReferenceSetError(NO_SET)
    reference = read_reference_set(parameters.reference)
    if (reference.app, reference.version) != (parameters.app, parameters.version):
        raise ReferenceSetError(
            f"the reference set is of {reference.app} {reference.version}; make it again (mapnode qc reference)"
        )
    return reference


def _not_shown(features: Features, reference: ReferenceSet) -> Iterator[str]:
    """What is in neither distance because one side does not show it: as far as that goes the scan looks average."""
    counts = reference.counts
    unknown = [name for name, value in features.items() if value is not None and not counts.get(name)]
    if unknown:
        yield f"Not checked: {', '.join(unknown)}; no reference scan of this site shows them."
    absent = [name for name, count in counts.items() if count == len(reference.rows) and features.get(name) is None]
    if absent:
        yield f"Not checked: {', '.join(absent)}; all reference scans of this site show them, and this scan does not."


def _findings(features: Features, reference: ReferenceSet) -> tuple[QualityFinding, ...]:
    distances, thresholds = reference.distances(features), reference.thresholds
    if distances.mahalanobis <= thresholds.mahalanobis and distances.neighbour <= thresholds.neighbour:
        return ()
    named = list(reference.deviations(features).items())[:MOST_NAMED]
    message = (
        f"The scan is unlike the {len(reference.rows)} reference scans of this site: {_told(distances, thresholds)} "
        f"(limits: percentile {reference.percentile:g} of theirs). It differs most in "
        f"{', '.join(f'{name} ({value:+.1f} SD)' for name, value in named)}. The numbers were not tested on such "
        "scans; look at the images and the mask."
    )
    return (QualityFinding("unlike_reference_scans", message),)


def _told(distances: Distances, thresholds: Distances) -> str:
    return (
        f"Mahalanobis distance {distances.mahalanobis:.3g} (limit {thresholds.mahalanobis:.3g}), "
        f"distance to its neighbours {distances.neighbour:.3g} (limit {thresholds.neighbour:.3g})"
    )
