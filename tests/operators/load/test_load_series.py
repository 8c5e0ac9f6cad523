"""LoadSeries: every series of a folder, with its volumes and what is wrong with them."""

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


def frames_of(folder):
    """The slices of the only volume of the only series."""
    (geometry,) = load_series(folder).series
    (volume,) = geometry.volumes
    return volume.frames


def test_series_are_told_apart_by_their_uid_not_by_their_folder(tmp_path):
    first = make_ct_series(tmp_path / "a", slices=3, uid_seed="first")
    make_ct_series(tmp_path / "a" / "deep", slices=4, uid_seed="second")
    first[0].rename(tmp_path / "elsewhere.dcm")

    loaded = load_series(tmp_path)

    assert sorted(len(geometry.series.instances) for geometry in loaded.series) == [3, 4]
    assert all(geometry.usable for geometry in loaded.series)


def test_file_names_and_their_order_do_not_matter(tmp_path):
    paths = make_ct_series(tmp_path, slices=8)
    straight = [frame.instance.uid for frame in frames_of(tmp_path)]
    names = [f"{n:04x}" for n in range(8)]
    random.Random(3).shuffle(names)
    for path, name in zip(paths, names, strict=True):
        path.rename(tmp_path / name)

    shuffled = frames_of(tmp_path)

    assert [frame.instance.uid for frame in shuffled] == straight
    assert [frame.instance.path.name for frame in shuffled] == names


def test_series_with_a_finding_is_kept_beside_a_clean_one(tmp_path):
    make_ct_series(tmp_path / "clean", uid_seed="clean")
    make_ct_series(tmp_path / "gap", uid_seed="gap")[5].unlink()

    loaded = load_series(tmp_path)

    assert sorted(geometry.usable for geometry in loaded.series) == [False, True]
    assert [f.code for g in loaded.series for f in g.findings] == [FindingCode.MISSING_SLICES]


def test_two_points_in_time_are_two_volumes_of_one_series(tmp_path):
    for number in (1, 2):

        def join(dataset, _index, number=number):
            dataset.SeriesInstanceUID, dataset.StudyInstanceUID = "1.2.3", "1.2.4"
            dataset.FrameOfReferenceUID = "1.2.5"
            dataset.TemporalPositionIdentifier = number

        make_ct_series(tmp_path / str(number), slices=4, uid_seed=str(number), edit=join)

    (geometry,) = load_series(tmp_path).series

    assert [volume.traits for volume in geometry.volumes] == [
        {"TemporalPositionIdentifier": "1"},
        {"TemporalPositionIdentifier": "2"},
    ]
    assert all(volume.regular and volume.shape == (4, 6, 5) for volume in geometry.volumes)
    for number, volume in enumerate(geometry.volumes, start=1):
        assert {frame.instance.path.parent.name for frame in volume.frames} == {str(number)}
    assert not geometry.regular


def test_pixels_stay_in_their_files(tmp_path):
    make_ct_series(tmp_path, slices=3)

    for frame in frames_of(tmp_path):
        assert "Rows" in frame.header
        assert "PixelData" not in frame.header


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
        ("odd_4d/siemens_dti", FindingCode.SEVERAL_VOLUMES),
        ("odd_gantry_tilt_no_attribute", FindingCode.GANTRY_TILT),
        ("odd_mosaic_siemens", FindingCode.SEVERAL_VOLUMES),
        ("odd_rgb_mr", FindingCode.COLOUR),
        ("odd_same_position", FindingCode.TOO_FEW_SLICES),
        ("odd_slice_gap", FindingCode.MISSING_SLICES),
        ("ct_totalseg_asis", FindingCode.MISSING_ATTRIBUTE),
        ("singles/cr", FindingCode.TWO_DIMENSIONAL),
        ("sr_dcmqi", FindingCode.UNSUPPORTED_OBJECT),
    ],
)
def test_real_defect_is_found(shared_data, folder, code):
    geometry = load_series(shared_data / folder).series[0]

    assert code in {finding.code for finding in geometry.findings}
    assert not geometry.usable


@pytest.mark.parametrize(
    ("folder", "code", "number"),
    [
        # Of 30 slices 12, 13 and 21 are missing: before and behind each gap lies one.
        ("derived_missing_slices", FindingCode.MISSING_SLICES, 4),
        ("derived_missing_ipp", FindingCode.MISSING_ATTRIBUTE, 1),
        ("derived_localizer_mixed", FindingCode.LOCALIZER, 1),
        ("derived_mixed_spacing", FindingCode.MIXED_SPACING, 15),
        ("odd_slice_gap", FindingCode.MISSING_SLICES, 2),
    ],
)
def test_finding_names_the_instances_concerned(shared_data, folder, code, number):
    (geometry,) = load_series(shared_data / folder).series

    (finding,) = [one for one in geometry.findings if one.code is code]

    assert len(finding.instances) == number
    assert set(finding.instances) <= {instance.uid for instance in geometry.series.instances}
