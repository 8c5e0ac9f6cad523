"""SelectSeries: the series that the criteria describe, and why each other one was left."""

import math
import random

import pytest

from operators.core.errors import InputRefused, NotApplicable
from operators.core.findings import FindingCode
from operators.core.geometry import examine
from operators.core.manifest import Criteria
from operators.load.load_series import LoadedFolder, load_series
from operators.select.select_series import select_series
from tests.builders import make_header, make_series


def criteria(**changed) -> Criteria:
    values = {"modality": "CT", "orientation": "axial", "min_slices": 5, "min_coverage_mm": 12}
    values |= {"max_slice_spacing_mm": 5, "image_type_excludes": ("LOCALIZER",), "body_part_excludes": ("HEAD",)}
    return Criteria(**(values | changed))


def axial(seed="series", slices=8, step_mm=3.0, edit=None, orientation=(1, 0, 0, 0, 1, 0), normal=(0, 0, 1)):
    headers = [
        make_header(i, seed=seed, orientation=orientation, position=[i * step_mm * n for n in normal])
        for i in range(slices)
    ]
    return examine(make_series(headers, edit=edit))


def with_values(**values):
    def edit(header, _index):
        for keyword, value in values.items():
            setattr(header, keyword, value)

    return edit


def gap(seed, slices=9):
    headers = [make_header(i, seed=seed) for i in range(slices) if i != 4]
    return examine(make_series(headers))


def example(_tmp_path):
    return criteria(), {"folder": LoadedFolder((axial("long"), axial("short", slices=6), gap("gap")), ())}


def uid_of(selection) -> str:
    return selection.series.series.uid


@pytest.mark.parametrize(
    ("geometry", "reason"),
    [
        (axial(edit=with_values(Modality="MR")), "modality is MR, not CT"),
        (axial(edit=with_values(Modality=None)), "modality is empty, not CT"),
        (axial(orientation=(1, 0, 0, 0, 0, -1), normal=(0, 1, 0)), "orientation is not axial"),
        (axial(slices=4), "4 slices, at least 5 are needed"),
        (axial(step_mm=2.0, slices=6), "it covers 10 mm, at least 12 mm are needed"),
        (axial(step_mm=6.0), "slices are 6 mm apart, at most 5 mm are allowed"),
        (axial(edit=with_values(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])), "image type is LOCALIZER"),
        (axial(edit=with_values(BodyPartExamined="HEAD")), "body part is HEAD"),
    ],
)
def test_each_criterion_gives_its_reason(geometry, reason):
    with pytest.raises(NotApplicable) as left:
        select_series([geometry], criteria())

    assert left.value.reasons == (f"series 3 (Series series): {reason}",)


@pytest.mark.parametrize(
    "geometry",
    [
        axial(slices=5),
        axial(slices=7, step_mm=2.0),
        axial(step_mm=5.0),
        axial(edit=with_values(BodyPartExamined="ABDOMEN")),
        axial(edit=with_values(ImageType="ORIGINAL")),
    ],
    ids=["fewest slices", "least coverage", "widest spacing", "other body part", "one image type"],
)
def test_series_at_the_limit_fits(geometry):
    assert select_series([geometry], criteria()).series is geometry


def test_series_with_too_little_of_everything_gets_its_first_reason():
    with pytest.raises(NotApplicable, match="orientation is not axial, 2 slices, at least 5"):
        select_series([axial(slices=2, orientation=(1, 0, 0, 0, 0, -1), normal=(0, 1, 0))], criteria())


@pytest.mark.parametrize(("degrees_off", "fits"), [(19.5, True), (20.5, False)])
def test_axial_may_be_tilted_by_20_degrees(degrees_off, fits):
    c, s = math.cos(math.radians(degrees_off)), math.sin(math.radians(degrees_off))
    tilted = axial(orientation=(1, 0, 0, 0, c, s), normal=(0, -s, c))

    if fits:
        assert select_series([tilted], criteria()).series is tilted
    else:
        with pytest.raises(NotApplicable, match="orientation is not axial"):
            select_series([tilted], criteria())


def test_longest_coverage_wins_then_more_slices_then_the_lower_uid():
    short, long = axial("a", slices=6), axial("b", slices=9)
    fine = axial("c", slices=17, step_mm=1.5)
    twins = [axial("d", slices=9), axial("e", slices=9)]

    assert uid_of(select_series([short, long], criteria())) == long.series.uid
    assert uid_of(select_series([long, fine], criteria())) == fine.series.uid
    assert uid_of(select_series(twins, criteria())) == min(twin.series.uid for twin in twins)


@pytest.mark.parametrize("seed", range(5))
def test_order_of_the_series_does_not_decide(seed):
    series = [axial("a"), axial("b"), axial("c", slices=6), gap("gap")]
    chosen = uid_of(select_series(series, criteria()))
    random.Random(seed).shuffle(series)

    assert uid_of(select_series(series, criteria())) == chosen


def test_longer_series_with_a_finding_is_not_chosen_before_a_clean_one():
    clean, defective = axial("clean", slices=6), gap("defective", slices=30)

    selection = select_series([defective, clean], criteria())

    assert uid_of(selection) == clean.series.uid
    weighed = {c.series_instance_uid: c for c in selection.candidates}
    assert weighed[clean.series.uid].reasons == ()
    assert weighed[clean.series.uid].score == 15.0
    assert "missing_slices" in weighed[defective.series.uid].reasons[0]


def test_only_series_with_findings_are_refused_with_those_of_the_best():
    worse, better = gap("worse", slices=9), gap("better", slices=12)

    with pytest.raises(InputRefused) as refused:
        select_series([worse, better], criteria())

    assert refused.value.findings == better.findings
    assert refused.value.findings[0].code is FindingCode.MISSING_SLICES


def test_series_without_any_place_is_refused_not_left():
    def strip(header, _index):
        del header.ImagePositionPatient

    with pytest.raises(InputRefused) as refused:
        select_series([axial(edit=strip)], criteria())

    assert {finding.code for finding in refused.value.findings} == {FindingCode.MISSING_ATTRIBUTE}


def test_images_without_uids_are_refused_even_beside_a_clean_series():
    def strip(header, _index):
        header.SOPInstanceUID = ""

    with pytest.raises(InputRefused):
        select_series([axial("clean"), axial("nameless", edit=strip)], criteria())


def test_nothing_that_fits_lists_each_series():
    with pytest.raises(NotApplicable) as left:
        select_series([axial("a", slices=4), axial("b", edit=with_values(Modality="MR"))], criteria())

    assert left.value.reasons == (
        "series 3 (Series a): 4 slices, at least 5 are needed",
        "series 3 (Series b): modality is MR, not CT",
    )


def test_series_without_number_and_description_is_still_named():
    with pytest.raises(NotApplicable, match=r"series - \(no description\): 4 slices"):
        select_series([axial(slices=4, edit=with_values(SeriesNumber=None, SeriesDescription=None))], criteria())


def test_real_study_gives_its_axial_series(shared_data):
    folder = load_series(shared_data / "ct_study_philips_phantom")

    selection = select_series(folder.series, criteria(body_part_excludes=()))

    assert len(selection.series.instances) == 18
    assert sum(candidate.score is not None for candidate in selection.candidates) == 1
    assert len(selection.candidates) == 3
