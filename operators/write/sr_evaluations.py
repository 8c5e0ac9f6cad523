"""SR evaluations: what a TID 1500 report says in codes and words, in its Qualitative Evaluations (PS3.16, rows 12-14).

No number is here, and nothing with a place on the images: OHIF 3.13 fails on a report that has such groups among its
Imaging Measurements.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from highdicom import sr
from highdicom.sr import RelationshipTypeValues as Relation

from operators.core import codes
from operators.core.quality import Verdict
from operators.write.sr_groups import finding_sites

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydicom.sr.coding import Code

    from operators.core.label_map import Segment
    from operators.core.measurements import DerivedValue
    from operators.core.quality import QualityReport
    from operators.core.segmented_regions import Region

VERDICT_CODES = {
    Verdict.PASS: codes.QUALITY_PASS,
    Verdict.CAUTION: codes.QUALITY_CAUTION,
    Verdict.HOLD: codes.QUALITY_HOLD,
}


def evaluations(
    items: Iterable[sr.CodeContentItem | sr.TextContentItem], algorithm_id: sr.AlgorithmIdentification
) -> sr.ContainerContentItem:
    """The container, with the algorithm that all in it is from (TID 4019)."""
    container = sr.ContainerContentItem(codes.QUALITATIVE_EVALUATIONS, relationship_type=Relation.CONTAINS)
    container.ContentSequence = sr.ContentSequence([*algorithm_id, *items])
    return container


def verdict_items(quality: QualityReport, comments: Iterable[str]) -> list[sr.CodeContentItem | sr.TextContentItem]:
    """What a reader has to know: verdict and findings on quality, what was not checked, and comments."""
    return [
        sr.CodeContentItem(codes.QUALITY_ASSESSMENT, VERDICT_CODES[quality.verdict], Relation.CONTAINS),
        *(sr.TextContentItem(codes.QUALITY_FINDING, f.message, Relation.CONTAINS) for f in quality.findings),
        *(sr.TextContentItem(codes.COMMENT, text, Relation.CONTAINS) for text in (*quality.not_checked, *comments)),
    ]


def absent_item(segment: Segment) -> sr.CodeContentItem:
    """A segment that was looked for and not found; SEG has none of it.

    The code that is read first is Absent, not the finding: nobody may read the segment as found.
    """
    return _absent(segment, "not found by the algorithm in the images measured.")


def empty_item(region: Region) -> sr.CodeContentItem:
    """A segment that the object which was measured describes, and that has no voxel in it.

    It is absent where nothing was drawn; where something was, nobody may read it as absent.
    """
    if region.unmeasured:
        why = f"{region.segment.label}: not measured, because {region.unmeasured}."
        return _evaluation(codes.VOLUME, codes.MEASUREMENT_NOT_ATTEMPTED, _what(region.segment), [why])
    remark = f" {region.remark}" if region.remark else ""
    return _absent(region.segment, f"described, but without any voxel; nothing was measured.{remark}")


def _absent(segment: Segment, why: str) -> sr.CodeContentItem:
    return _evaluation(codes.PRESENCE_OF_PROPERTY, codes.ABSENT, _what(segment), [f"{segment.label}: {why}"])


def _what(segment: Segment) -> list[sr.CodeContentItem]:
    """What a segment is, and where."""
    return [
        sr.CodeContentItem(codes.FINDING_CATEGORY, segment.category, Relation.HAS_CONCEPT_MOD),
        sr.CodeContentItem(codes.FINDING, segment.type, Relation.HAS_CONCEPT_MOD),
        *(finding_sites(segment) or ()),
    ]


def not_computed_item(derived: DerivedValue) -> sr.CodeContentItem:
    """A derived value without a number, and why there is none."""
    texts = [f"{derived.label}: {derived.definition}.", f"{derived.label}: not computed, because {derived.reason}."]
    return _evaluation(derived.quantity.concept, codes.MEASUREMENT_NOT_ATTEMPTED, [], texts)


def _evaluation(
    name: Code, value: Code, modifiers: Sequence[sr.CodeContentItem], texts: Iterable[str]
) -> sr.CodeContentItem:
    item = sr.CodeContentItem(name, value, Relation.CONTAINS)
    comments = [sr.TextContentItem(codes.COMMENT, text, Relation.HAS_PROPERTIES) for text in texts]
    item.ContentSequence = sr.ContentSequence([*modifiers, *comments])
    return item
