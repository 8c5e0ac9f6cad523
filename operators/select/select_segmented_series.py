"""SelectSegmentedSeries: choose the volume that the segmentations of a folder refer to."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

from operators.core.errors import NotApplicable
from operators.core.findings import FindingCode
from operators.core.manifest import Criteria
from operators.core.segmentation_references import drawn_on, references_of, segmentations_in
from operators.core.selection import LoadedFolder, Selection
from operators.runtime.step import Step
from operators.select.select_series import select_series

if TYPE_CHECKING:
    from operators.core.geometry import SeriesGeometry


class SelectSegmentedSeries(Step):
    """Choose the volume that the folder's SEGs and RT Structure Sets refer to, by the manifest's criteria.

    Other series, and other volumes of the same one, such as points in time, are left, however well they would fit, and
    so are those that a SEG lists but none of its frames was made from. Of several that are left `SelectSeries` says
    which.

    Named Input:
        folder: LoadedFolder, with the images and the segmentations.

    Named Output:
        selection: Selection.

    Raises NotApplicable where there is no segmentation, or no images that one refers to, InputRefused as SelectSeries.
    """

    inputs: ClassVar[tuple[str, ...]] = ("folder",)
    output: ClassVar[str] = "selection"

    def process(self, folder: LoadedFolder) -> Selection:
        """Weigh the volumes that are referred to."""
        criteria: Criteria = self.parameters
        return select_segmented_series(folder, criteria)


def select_segmented_series(folder: LoadedFolder, criteria: Criteria) -> Selection:
    """Choose one volume.

    Args:
        folder: All series, and the files that were skipped.
        criteria: As in `select_series`.

    Returns:
        The chosen volume and how each that is referred to was weighed.

    Raises:
        NotApplicable: If there is no segmentation, or none of the images that one refers to.
    """
    segmentations = segmentations_in(folder)
    if not segmentations:
        raise NotApplicable(["the folder holds no Segmentation and no RT Structure Set"])
    present = {instance.uid for series in folder.series for instance in series.series.instances}
    named = {uid for instance in segmentations for uid in drawn_on(instance, present)}
    referred = tuple(_segmented(series, named) for series in folder.series if _has_any(series, named))
    if not referred:
        raise NotApplicable([
            f"{instance.name} ({instance.uid}) refers to {len(references_of(instance))} images, none of which is in "
            "the folder; send the series that it was made on as well (with_sources in rules.yaml)"
            for instance in segmentations
        ])
    return select_series(replace(folder, series=referred), criteria)


def _segmented(series: SeriesGeometry, uids: set[str]) -> SeriesGeometry:
    """A series with the one of its volumes that has some of the instances; the whole series where several do."""
    volumes = tuple(v for v in series.volumes if any(frame.instance.uid in uids for frame in v.frames))
    if len(volumes) != 1:
        return series
    findings = tuple(f for f in series.own_findings if f.code is not FindingCode.SEVERAL_VOLUMES)
    return replace(series, volumes=volumes, own_findings=findings)


def _has_any(series: SeriesGeometry, uids: set[str]) -> bool:
    """Whether a series has volumes with one of the instances."""
    return bool(series.volumes) and any(instance.uid in uids for instance in series.series.instances)
