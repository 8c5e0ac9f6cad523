"""SR evaluations: what was not found is said to be absent, with its side; every verdict has a code."""

from operators.core import catalogue
from operators.core.quality import Verdict
from operators.write.sr_evaluations import VERDICT_CODES, absent_item


def test_absent_segment_keeps_its_side():
    item = absent_item(catalogue.segment("kidney_right", 1, (1,)))

    (site,) = [child for child in item.ContentSequence if child.ConceptNameCodeSequence[0].CodeValue == "363698007"]
    assert site.ContentSequence[0].ConceptCodeSequence[0].CodeMeaning == "Right"


def test_every_verdict_has_a_code():
    assert set(VERDICT_CODES) == set(Verdict)
    assert len(set(VERDICT_CODES.values())) == len(Verdict)
