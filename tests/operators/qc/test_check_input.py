"""Files that may be images and could not be read are no silent loss."""

import pytest

from operators.core.quality import Verdict
from operators.load.load_series import load_series
from operators.qc.check_input import check_input
from tests.builders import make_ct_series


def example(tmp_path):
    make_ct_series(tmp_path / "example", slices=2)
    return None, {"folder": load_series(tmp_path / "example")}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.dcm", b"no longer DICOM"),
        ("empty", b""),
        ("beginning_of_a_preamble", bytes(100)),
    ],
)
def test_a_file_that_may_be_a_lost_slice_asks_for_caution_without_its_name(tmp_path, name, content):
    """Findings stand in pictures, and folders are named after patients; result.json has the names."""
    make_ct_series(tmp_path, slices=3)
    (tmp_path / name).write_bytes(content)

    report = check_input(load_series(tmp_path))

    assert report.verdict is Verdict.CAUTION
    assert "1 files could not be read" in report.findings[0].message
    assert name not in report.findings[0].message


def test_a_broken_file_asks_for_caution(tmp_path):
    path = make_ct_series(tmp_path, slices=3)[-1]
    path.write_bytes(path.read_bytes()[:200])

    assert [finding.code for finding in check_input(load_series(tmp_path)).findings] == ["unreadable_files"]


@pytest.mark.parametrize(
    ("name", "content"), [("README.md", b"# hello"), ("notes", b"no image, but some text"), ("a.json", b"{}")]
)
def test_other_files_are_nobodys_concern(tmp_path, name, content):
    make_ct_series(tmp_path, slices=3)
    (tmp_path / name).write_bytes(content)

    assert check_input(load_series(tmp_path)).verdict is Verdict.PASS
