"""MeasureIntensities: numpy's and SimpleITK's statistics of the same voxels, of the image's own on another grid."""

from dataclasses import replace

import numpy as np
import pytest
import SimpleITK

from operators.core.segmented_regions import Grid
from operators.measure.measure_intensities import measure_intensities
from operators.measure.measure_shapes import measure_shapes
from tests.builders import OBLIQUE, make_affine, make_ct_series
from tests.segmented import MASKS, blob, make_hu, make_seg, make_study, read, sitk_image, whole


def example(tmp_path):
    volume, regions = read(make_study(tmp_path))
    return None, {"values": volume, "label_map": regions}


def values_of(volume, regions):
    return {m.segment_name: {v.quantity.name: v.value for v in m.values} for m in measure_intensities(volume, regions)}


def test_statistics_are_those_of_the_segments_voxels(tmp_path):
    found = values_of(*read(make_study(tmp_path)))

    for label, mask in MASKS.items():
        inside = make_hu()[mask].astype(float)
        assert found[label.lower()] == pytest.approx({
            "mean_hu": inside.mean(),
            "sd_hu": inside.std(),
            "median_hu": np.median(inside),
            "min_hu": inside.min(),
            "max_hu": inside.max(),
        })


def test_on_another_grid_they_are_simpleitks_of_the_resampled_mask(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())
    grid = Grid((9, 11, 12), make_affine(OBLIQUE, (2.0, 1.1, 0.9), (-10.0, 5.0, 45.0)))
    mask = blob(grid.shape, (4, 5, 6), (3.4, 4, 5))
    make_seg(tmp_path / "seg.dcm", images, {"Lesion": mask}, grid=grid)

    volume, regions = read(tmp_path)
    found = values_of(volume, regions)["lesion"]

    image = sitk_image(volume.array, volume.affine_lps)
    moved = SimpleITK.Resample(
        sitk_image(mask.astype(np.uint8), grid.affine_lps), image, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor
    )
    judge = SimpleITK.LabelStatisticsImageFilter()
    judge.Execute(image, moved)
    assert judge.GetCount(1) > 30
    assert found["mean_hu"] == pytest.approx(judge.GetMean(1), rel=1e-9)
    assert (found["min_hu"], found["max_hu"]) == (judge.GetMinimum(1), judge.GetMaximum(1))
    # SimpleITK divides by N - 1.
    count = judge.GetCount(1)
    assert found["sd_hu"] == pytest.approx(judge.GetSigma(1) * np.sqrt((count - 1) / count), rel=1e-9)


def finer(mask, affine_lps, factor):
    """The same mask in voxels that are `factor` times finer, each voxel cut into equal ones."""
    affine = affine_lps.copy()
    affine[:3, :3] /= factor
    affine[:3, 3] -= affine[:3, :3].sum(axis=1) * (factor - 1) / 2
    return mask.repeat(factor, 0).repeat(factor, 1).repeat(factor, 2), affine


@pytest.mark.parametrize("factor", [2, 3])
@pytest.mark.parametrize("of", ["segmentation", "images"])
def test_finer_voxels_of_one_of_both_change_nothing(tmp_path, factor, of):
    images = make_ct_series(tmp_path / "plain" / "ct", hu=make_hu())
    make_seg(tmp_path / "plain" / "seg.dcm", images)
    mask, affine = finer(MASKS["Lesion"], make_affine(), factor)
    if of == "images":
        hu, fine = finer(make_hu(), make_affine(), factor)
        images = make_ct_series(
            tmp_path / "fine" / "ct", hu=hu, spacing_mm=tuple(np.array((3.0, 0.8, 0.6)) / factor), origin_mm=fine[:3, 3]
        )
        grid, masks = Grid(MASKS["Lesion"].shape, make_affine()), {"Lesion": MASKS["Lesion"]}
    else:
        images = make_ct_series(tmp_path / "fine" / "ct", hu=make_hu())
        grid, masks = Grid(mask.shape, affine), {"Lesion": mask}
    make_seg(tmp_path / "fine" / "seg.dcm", images, masks, grid=grid)

    before, after = (read(tmp_path / name) for name in ("plain", "fine"))

    assert values_of(*after)["lesion"] == pytest.approx(values_of(*before)["lesion"])
    volumes = [measure_shapes(regions)[-1].values[0].value for _, regions in (before, after)]
    assert volumes[1] == pytest.approx(volumes[0])


def test_padding_is_left_out(tmp_path):
    volume, regions = read(make_study(tmp_path))
    padding = np.zeros(volume.array.shape, bool)
    padding[5] = True

    found = values_of(replace(volume, padding=padding), regions)

    inside = volume.array[whole(regions.regions[0], regions.source_grid) & ~padding]
    assert found["kidney"]["mean_hu"] == pytest.approx(inside.mean())


def test_a_segment_without_a_voxel_has_no_values(tmp_path):
    volume, regions = read(
        make_study(tmp_path, masks={"Lesion": MASKS["Lesion"], "Kidney": np.zeros(MASKS["Kidney"].shape)})
    )

    assert values_of(volume, regions)["kidney"] == {}


def test_a_segment_beside_the_images_has_no_values(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())
    grid = Grid((3, 4, 5), make_affine(origin_mm=(400.0, 0.0, 40.0)))
    make_seg(tmp_path / "seg.dcm", images, {"Lesion": np.ones(grid.shape)}, grid=grid)

    assert values_of(*read(tmp_path))["lesion"] == {}


def state_other_units(dataset, _index):
    dataset.RescaleType = "US"


def test_of_a_ct_that_is_no_hounsfield_nothing_is_called_hu(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu(), edit=state_other_units)
    make_seg(tmp_path / "seg.dcm", images)
    volume, regions = read(tmp_path)

    assert values_of(volume, regions) == {"kidney": {}, "lesion": {}}
