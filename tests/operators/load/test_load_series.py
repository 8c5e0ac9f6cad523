"""LoadSeries: every series of a folder, with what is wrong with it."""

import random

import pytest

from operators.core.errors import InputRefused
from operators.core.findings import FindingCode
from operators.load.load_series import LoadSeriesParameters, load_series
from tests.builders import make_ct_series


def example(tmp_path):
    make_ct_series(tmp_path / "in", slices=3)
    (tmp_path / "in" / "notes.txt").write_text("no DICOM")
    return LoadSeriesParameters(tmp_path / "in"), {}


def test_series_are_told_apart_by_their_uid_not_by_their_folder(tmp_path):
    first = make_ct_series(tmp_path / "a", slices=3, uid_seed="first")
    make_ct_series(tmp_path / "a" / "deep", slices=4, uid_seed="second")
    first[0].rename(tmp_path / "elsewhere.dcm")

    loaded = load_series(tmp_path)

    assert sorted(len(geometry.instances) for geometry in loaded.series) == [3, 4]
    assert all(geometry.usable for geometry in loaded.series)


def test_file_names_and_their_order_do_not_matter(tmp_path):
    paths = make_ct_series(tmp_path, slices=8)
    straight = [i.uid for i in load_series(tmp_path).series[0].instances]
    names = [f"{n:04x}" for n in range(8)]
    random.Random(3).shuffle(names)
    for path, name in zip(paths, names, strict=True):
        path.rename(tmp_path / name)

    shuffled = load_series(tmp_path).series[0]

    assert [i.uid for i in shuffled.instances] == straight
    assert [i.path.name for i in shuffled.instances] == names


def test_series_with_a_finding_is_kept_beside_a_clean_one(tmp_path):
    make_ct_series(tmp_path / "clean", uid_seed="clean")
    make_ct_series(tmp_path / "gap", uid_seed="gap")[5].unlink()

    loaded = load_series(tmp_path)

    assert sorted(geometry.usable for geometry in loaded.series) == [False, True]
    assert [f.code for g in loaded.series for f in g.findings] == [FindingCode.MISSING_SLICES]


def test_skipped_files_are_named(tmp_path):
    parameters, _ = example(tmp_path)

    assert [file.name for file in load_series(parameters.folder).skipped] == ["notes.txt"]


def test_empty_folder_is_refused(tmp_path):
    with pytest.raises(InputRefused) as refused:
        load_series(tmp_path)

    assert [finding.code for finding in refused.value.findings] == [FindingCode.NO_DICOM]


@pytest.mark.parametrize(
    ("folder", "code"),
    [
        ("derived_duplicate_positions", FindingCode.DUPLICATE_POSITION),
        ("derived_localizer_mixed", FindingCode.LOCALIZER),
        ("derived_missing_ipp", FindingCode.MISSING_ATTRIBUTE),
        ("derived_missing_slices", FindingCode.MISSING_SLICES),
        ("derived_mixed_spacing", FindingCode.MIXED_SPACING),
        ("odd_gantry_tilt_no_attribute", FindingCode.GANTRY_TILT),
        ("odd_same_position", FindingCode.DUPLICATE_POSITION),
        ("odd_slice_gap", FindingCode.MISSING_SLICES),
        ("ct_totalseg_asis", FindingCode.MISSING_ATTRIBUTE),
    ],
)
def test_real_defect_is_found(shared_data, folder, code):
    geometry = load_series(shared_data / folder).series[0]

    assert code in {finding.code for finding in geometry.findings}
    assert not geometry.usable
