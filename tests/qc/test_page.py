"""docs/quality-cases.md: what was missed is on it, and an app's section leaves the others alone."""

from tests.qc.page import PAGE, write_section
from tests.qc.running import SUBJECTS, End

CAUGHT, MISSED = End("metal", "a phantom", "hold", ("metal_ml",)), End("tilt", "a phantom", "pass", ())
PASSED, STOPPED = End("fit", "a phantom", "pass", ()), End("fit", "real 3-4", "caution", ("edge_mm",))


def test_each_miss_is_named_and_counted(tmp_path):
    page = tmp_path / "page.md"

    write_section("one", "So drawn.", [CAUGHT, MISSED], [PASSED, STOPPED], page)

    text = page.read_text()
    assert "| **all unfit** | 2 | 1 (50.0%) | |" in text
    assert "| **fit** | 2 | 1 (50.0%) | |" in text
    assert text.endswith(f"{MISSED.line}\n{STOPPED.line}\n")


def test_a_run_that_failed_is_named_and_counts_as_neither(tmp_path):
    page, failed = tmp_path / "page.md", End("fit", "a phantom", "failed", ("defect",))

    write_section("one", "So drawn.", [], [failed], page)

    assert "| **fit** | 1 | 0 (0.0%) | |" in page.read_text()
    assert failed.line in page.read_text()


def test_sections_of_other_apps_stay(tmp_path):
    page = tmp_path / "page.md"
    write_section("one", "First.", [CAUGHT], [PASSED], page)
    write_section("two", "Second.", [MISSED], [PASSED], page)
    write_section("one", "Again.", [CAUGHT], [PASSED], page)

    headings = [line for line in page.read_text().splitlines() if line.startswith("#")]
    assert headings[1:] == ["## one", "## two"]
    assert "First." not in page.read_text()
    assert "Second." in page.read_text()


def test_the_page_has_every_app_and_every_kind_of_scan():
    text = PAGE.read_text(encoding="utf-8")

    for subject in SUBJECTS.values():
        section = text.split(f"## {subject.app}\n")[1].split("\n## ")[0]
        assert [kind for kind in subject.unfit if f"| {kind} |" not in section] == [], "run make qc-cases"
