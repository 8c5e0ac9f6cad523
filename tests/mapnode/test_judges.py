"""Judges: what programs that are not ours say goes on without values, and a slow one says nothing."""

import shutil
import subprocess

import pytest

from mapnode import judges
from mapnode.judges import (
    FALSE_FOR_LABEL_MAP,
    FALSE_FOR_LABEL_MAP_REPORT,
    REPORT_READER,
    SEG_READER,
    ask_dcentvfy,
    ask_dciodvfy,
    ask_dcmqi,
    find_program,
)
from tests.results import make_results

needs_dicom3tools = pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
needs_dcmqi = pytest.mark.skipif(find_program(SEG_READER) is None, reason="dcmqi is not installed")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One file of every kind."""
    folder = tmp_path_factory.mktemp("files")
    for kind, dataset in make_results().items():
        dataset.save_as(folder / f"{kind}.dcm")
    return folder


@pytest.fixture
def judge_says(monkeypatch):
    """Puts words into the mouth of every judge."""

    def say(stdout, returncode=0):
        done = subprocess.CompletedProcess([], returncode, stdout, "")
        monkeypatch.setattr(judges.subprocess, "run", lambda *_, **__: done)

    return say


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("Error - Value is wrong = <Roe^Richard>", "Error - Value is wrong (withheld)"),
        (
            "Error - </PatientName(0010,0010)> - bad = <Roe^R> and <Roe>",
            "Error - </PatientName(0010,0010)> - bad (withheld)",
        ),
        ("Error - Bad character <Roe^Richard> in PN", "Error - Bad character (withheld) in PN"),
        (
            "Error - </Laterality(0020,0060)> - Missing attribute - Module=<GeneralSeries>",
            "Error - </Laterality(0020,0060)> - Missing attribute - Module=<GeneralSeries>",
        ),
    ],
)
def test_values_are_withheld_and_places_kept(judge_says, tmp_path, line, shown):
    judge_says(line)

    assert ask_dciodvfy(tmp_path).errors == (shown,)


LABEL_MAP_LINES = (
    "Error - </SegmentSequence(0062,0002)[1]/SegmentNumber(0062,0004)> - SegmentNumber not monotonically increasing "
    "from one by one - have SegmentSequence item number 1 (from one) with SegmentNumber of 0",
    "Error - Information Object Not found",
)
REPORT_LINE = (
    "Error - </ContentSequence(0040,a730)[9]/ReferencedSOPSequence(0008,1199)[1]/ReferencedSegmentNumber(0062,000b)> - "
    "Shall not be present for Referenced SOP Class that is not segmentation"
)


def test_errors_known_to_be_false_are_shown_apart(judge_says, tmp_path):
    judge_says("\n".join(LABEL_MAP_LINES))

    judgement = ask_dciodvfy(tmp_path, FALSE_FOR_LABEL_MAP)

    assert (judgement.errors, judgement.known) == ((), LABEL_MAP_LINES)


@pytest.mark.parametrize(
    "line",
    [
        LABEL_MAP_LINES[0].replace("of 0", "of 3"),
        LABEL_MAP_LINES[0].replace("[1]/SegmentNumber", "[2]/SegmentNumber"),
        "Error - Information Object Not found in dictionary",
        REPORT_LINE,
    ],
)
def test_only_exactly_those_are_known(judge_says, tmp_path, line):
    judge_says(line)

    assert ask_dciodvfy(tmp_path, FALSE_FOR_LABEL_MAP).errors == (line,)


def test_what_is_false_for_one_file_is_an_error_of_another(judge_says, tmp_path):
    judge_says(REPORT_LINE)

    assert ask_dciodvfy(tmp_path, FALSE_FOR_LABEL_MAP_REPORT).errors == ()
    assert ask_dciodvfy(tmp_path).errors == (REPORT_LINE,)


def test_differences_between_files_are_told_without_the_values(judge_says, tmp_path):
    one, other = tmp_path / "a.dcm", tmp_path / "b.dcm"
    judge_says(
        f"Error - Different PatientID for same StudyInstanceUID - StudyInstanceUID=<1.2> PatientID=<SECRET> for file "
        f"<{one}> versus existing PatientID=<OTHER>\nWarning - Different entities - Element=<AccessionNumber>"
    )

    found = ask_dcentvfy([one, other])

    assert found[one].errors == ("another file has another PatientID for the same StudyInstanceUID",)
    assert found[other].errors == ()


def test_a_judge_that_takes_too_long_has_said_nothing(monkeypatch, tmp_path):
    def slow(*_, **__):
        raise subprocess.TimeoutExpired("judge", 120)

    monkeypatch.setattr(judges.subprocess, "run", slow)

    for judgement in (ask_dciodvfy(tmp_path), ask_dcentvfy([tmp_path])[tmp_path], ask_dcmqi(tmp_path, SEG_READER)):
        assert (judgement.errors, judgement.answered) == ((), False)
        assert judgement.warnings


def test_dcmqi_that_writes_nothing_has_not_read_the_file(judge_says, tmp_path):
    judge_says("E: SOP Class UID does not match", returncode=0)

    assert ask_dcmqi(tmp_path, REPORT_READER).errors == ("it does not read the file (exit code 0)",)


@needs_dcmqi
@pytest.mark.parametrize(("kind", "program"), [("seg", SEG_READER), ("labelmap", SEG_READER), ("sr", REPORT_READER)])
def test_dcmqi_reads_what_we_write(files, kind, program):
    assert ask_dcmqi(files / f"{kind}.dcm", program).errors == ()


@needs_dcmqi
@pytest.mark.parametrize("program", [SEG_READER, REPORT_READER])
def test_dcmqi_does_not_read_a_pdf(files, program):
    assert ask_dcmqi(files / "report_pdf.dcm", program).errors != ()


@needs_dicom3tools
def test_dciodvfy_says_of_a_label_map_what_is_known_to_be_false(files):
    judgement = ask_dciodvfy(files / "labelmap.dcm", FALSE_FOR_LABEL_MAP)

    assert judgement.errors == ()
    assert len(judgement.known) == 2


def test_a_program_that_is_not_installed_is_none():
    assert find_program("no-such-judge") is None
