"""Objects: what is made is what the manifest offers and the job wants, and nothing names a SEG that is not there."""

import pytest

from operators.core.contract import ObjectKind
from operators.core.manifest import OutputPart
from operators.core.objects import ObjectsNotMade, wanted_objects

SEG = OutputPart(kind="seg", description="", forms=("binary", "labelmap"))
SR = OutputPart(kind="sr", description="")
PDF = OutputPart(kind="report_pdf", description="", default=False)
MADE = (SEG, SR, PDF)


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, {"seg": "binary", "sr": ""}),
        ({"seg": "labelmap"}, {"seg": "labelmap", "sr": ""}),
        ({"seg": True, "report_pdf": True}, {"seg": "binary", "sr": "", "report_pdf": ""}),
        ({"sr": False}, {"seg": "binary"}),
        ({"sr": False, "seg": False}, {}),
        ({"rt_structure_set": False}, {"seg": "binary", "sr": ""}),
    ],
)
def test_the_job_chooses_among_what_the_app_makes(asked, wanted):
    assert wanted_objects(MADE, {ObjectKind(kind): choice for kind, choice in asked.items()}) == wanted


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({ObjectKind.RT_STRUCTURE_SET: True}, "the app makes no rt_structure_set; it makes seg, sr, report_pdf"),
        ({ObjectKind.SEG: "fractional"}, "the app makes seg as binary, labelmap, not fractional"),
        ({ObjectKind.SR: "short"}, "the app makes sr as one form only, not short"),
        ({ObjectKind.SEG: False, ObjectKind.REPORT_PDF: True}, "sr, report_pdf cannot be made without seg"),
    ],
)
def test_what_cannot_be_made_is_refused_with_what_can(asked, words):
    with pytest.raises(ObjectsNotMade, match=words):
        wanted_objects(MADE, asked)
