"""CheckUnmeasured: what was drawn and has no numbers asks for caution."""

from dataclasses import replace

import numpy as np

from operators.core.quality import Verdict
from operators.qc.check_unmeasured import check_unmeasured
from tests.operators.measure.test_measure_shapes import regions_of
from tests.segmented import SHAPE, blob, make_study, read

REASON = "none of its contours has an inside: OPEN_PLANAR"


def example(tmp_path):
    return None, {"label_map": read(make_study(tmp_path))[1]}


def with_reason(regions):
    (one,) = regions.objects
    drawn = tuple(replace(region, unmeasured=REASON) for region in one.regions)
    return replace(regions, objects=(replace(one, regions=drawn),))


def test_what_was_drawn_and_not_measured_asks_for_caution_and_says_why():
    report = check_unmeasured(with_reason(regions_of(np.zeros(SHAPE, bool))))

    (finding,) = report.findings
    assert (report.verdict, finding.code) == (Verdict.CAUTION, "not_measured")
    assert finding.message.startswith(f"Bone: drawn, and not measured, because {REASON};")


def test_segments_that_were_measured_or_not_drawn_ask_for_nothing():
    assert check_unmeasured(regions_of(blob())).findings == ()
    assert check_unmeasured(regions_of(np.zeros(SHAPE, bool))).findings == ()
