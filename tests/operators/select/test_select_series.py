"""SelectSeries: the series that the criteria describe, and why each other one was left."""

import math
import random

import pytest

from operators.core.errors import InputRefused, NotApplicable
from operators.core.findings import FindingCode
from operators.core.geometry import examine
from operators.core.manifest import Criteria
from operators.core.reading import SkippedFile
from operators.core.selection import LoadedFolder, Selection
from operators.load.load_series import load_series
from operators.select.select_series import select_series
from tests.builders import make_header, make_series

MUST = {
    "modality": {"any_of": ["CT"]},
    "orientation": {"any_of": ["axial"]},
    "slices": {"at_least": 5},
    "coverage_mm": {"at_least": 12},
    "slice_spacing_mm": {"at_most": 5},
    "image_type": {"none_of": ["LOCALIZER"]},
    "body_part": {"none_of": ["HEAD"]},
}


def criteria(must=None, **others) -> Criteria:
    return Criteria.model_validate({"must": MUST | (must or {}), **others})


def select(series, wanted=None, skipped=()) -> Selection:
    return select_series(LoadedFolder(tuple(series), tuple(skipped)), wanted or criteria())


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
    return selection.volume.series.uid


@pytest.mark.parametrize(
    ("geometry", "reason"),
    [
        (axial(edit=with_values(Modality="MR")), "modality is MR, not CT"),
        (axial(edit=with_values(Modality=None)), "modality is absent, not CT"),
        (axial(orientation=(1, 0, 0, 0, 0, -1), normal=(0, 1, 0)), "orientation is coronal, not axial"),
        (axial(slices=4, step_mm=4.5), "slices: 4, at least 5 needed"),
        (axial(step_mm=2.0, slices=6), "coverage: 10 mm, at least 12 mm needed"),
        (axial(step_mm=6.0), "slice spacing: 6 mm, at most 5 mm allowed"),
        (axial(edit=with_values(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])), "image type is LOCALIZER"),
        (axial(edit=with_values(BodyPartExamined="HEAD")), "body part is HEAD"),
    ],
)
def test_each_criterion_gives_its_reason(geometry, reason):
    with pytest.raises(NotApplicable) as left:
        select([geometry])

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
    assert select([geometry]).volume is geometry.volumes[0]


def test_series_with_too_little_of_everything_gets_its_first_reason():
    with pytest.raises(
        NotApplicable,
        match="orientation is coronal, not axial, coverage",
    ):
        select([axial(slices=2, orientation=(1, 0, 0, 0, 0, -1), normal=(0, 1, 0))])


@pytest.mark.parametrize(("degrees_off", "fits"), [(19.5, True), (20.5, False)])
def test_axial_may_be_tilted_by_20_degrees(degrees_off, fits):
    c, s = math.cos(math.radians(degrees_off)), math.sin(math.radians(degrees_off))
    tilted = axial(orientation=(1, 0, 0, 0, c, s), normal=(0, -s, c))

    if fits:
        assert select([tilted]).volume is tilted.volumes[0]
    else:
        with pytest.raises(NotApplicable, match="orientation is oblique, not axial"):
            select([tilted])


def test_longest_coverage_wins_then_more_slices_then_the_lower_uid():
    short, long = axial("a", slices=6), axial("b", slices=9)
    fine = axial("c", slices=17, step_mm=1.5)
    twins = [axial("d", slices=9), axial("e", slices=9)]

    assert uid_of(select([short, long])) == long.series.uid
    assert uid_of(select([long, fine])) == fine.series.uid
    assert uid_of(select(twins)) == min(twin.series.uid for twin in twins)


@pytest.mark.parametrize("seed", range(5))
def test_order_of_the_series_does_not_decide(seed):
    series = [axial("a"), axial("b"), axial("c", slices=6), gap("gap")]
    chosen = uid_of(select(series))
    random.Random(seed).shuffle(series)

    assert uid_of(select(series)) == chosen


def test_longer_series_with_a_finding_is_not_chosen_before_a_clean_one():
    clean, defective = axial("clean", slices=6), gap("defective", slices=30)

    selection = select([defective, clean])

    assert uid_of(selection) == clean.series.uid
    weighed = {c.series_instance_uid: c for c in selection.candidates}
    assert weighed[clean.series.uid].reasons == ()
    assert weighed[clean.series.uid].score == 0.0
    assert "missing_slices" in weighed[defective.series.uid].reasons[0]


def test_only_series_with_findings_are_refused_with_those_of_the_best():
    worse, better = gap("worse", slices=9), gap("better", slices=12)

    with pytest.raises(InputRefused) as refused:
        select([worse, better])

    assert refused.value.findings == better.findings
    assert refused.value.findings[0].code is FindingCode.MISSING_SLICES


def test_series_without_any_place_is_refused_not_left():
    def strip(header, _index):
        del header.ImagePositionPatient

    with pytest.raises(InputRefused) as refused:
        select([axial(edit=strip)])

    assert {finding.code for finding in refused.value.findings} == {FindingCode.MISSING_ATTRIBUTE}


def test_images_without_uids_are_refused_even_beside_a_clean_series():
    def strip(header, _index):
        header.SOPInstanceUID = ""

    with pytest.raises(InputRefused):
        select([axial("clean"), axial("nameless", edit=strip)])


def test_nothing_that_fits_lists_each_series():
    with pytest.raises(NotApplicable) as left:
        select([axial("a", slices=4), axial("b", edit=with_values(Modality="MR"))])

    assert left.value.reasons == (
        "series 3 (Series a): coverage: 9 mm, at least 12 mm needed, slices: 4, at least 5 needed",
        "series 3 (Series b): modality is MR, not CT",
    )


def test_series_without_number_and_description_is_still_named():
    with pytest.raises(NotApplicable, match=r"series - \(no description\): coverage"):
        select([axial(slices=4, edit=with_values(SeriesNumber=None, SeriesDescription=None))])


def test_real_study_gives_its_axial_series(shared_data):
    folder = load_series(shared_data / "ct_study_philips_phantom")

    selection = select_series(folder, criteria({"body_part": {"none_of": ["ABDOMEN"]}}))

    assert len(selection.volume.frames) == 18
    assert [c.score is not None for c in selection.candidates].count(True) == 1
    assert len({c.series_instance_uid for c in selection.candidates}) == 3


SOFT = {"property": "kernel", "condition": {"matches": "^b[23]"}, "weight": 2}
NATIVE = {"property": "contrast_agent", "condition": {"present": False}, "weight": 1.5}
THIN = {"property": "slice_thickness_mm", "condition": {"at_most": 2}, "weight": 1}


class TestPreferences:
    """The highest sum of weights wins before coverage does."""

    @pytest.mark.parametrize(
        ("values", "score"),
        [
            ({}, 1.5),
            ({"ConvolutionKernel": "B30f"}, 3.5),
            ({"ConvolutionKernel": "B70f", "ContrastBolusAgent": "Iodine"}, 0.0),
            ({"ConvolutionKernel": "B20f", "SliceThickness": "1.5"}, 4.5),
        ],
    )
    def test_score_is_the_sum_of_the_weights_that_are_met(self, values, score):
        wanted = criteria(prefer=[SOFT, NATIVE, THIN])

        assert select([axial(edit=with_values(**values))], wanted).chosen.score == score

    def test_preferred_series_wins_over_a_longer_one(self):
        long, soft = axial("long", slices=30), axial("soft", edit=with_values(ConvolutionKernel="B30f"))

        assert uid_of(select([long, soft], criteria(prefer=[SOFT]))) == soft.series.uid
        assert uid_of(select([long, soft])) == long.series.uid

    def test_preferred_series_with_a_finding_comes_after_a_clean_one(self):
        headers = [make_header(i, seed="soft") for i in range(9) if i != 4]
        soft = examine(make_series(headers, edit=with_values(ConvolutionKernel="B30f")))

        assert uid_of(select([soft, axial("other")], criteria(prefer=[SOFT]))) != soft.series.uid


class TestAcceptedFindings:
    """The manifest says which findings an app can live with; everything else refuses."""

    @staticmethod
    def two_echoes():
        headers = [make_header(i % 8) for i in range(16)]
        for index, header in enumerate(headers):
            header.SOPInstanceUID = f"1.2.{index}"
            header.EchoTime = "5" if index < 8 else "10"
        return examine(make_series(headers))

    def test_series_of_two_volumes_is_refused_unless_accepted(self):
        with pytest.raises(InputRefused) as refused:
            select([self.two_echoes()])

        assert [finding.code for finding in refused.value.findings] == [FindingCode.SEVERAL_VOLUMES]

    def test_accepted_series_of_two_volumes_gives_one_and_says_which(self):
        selection = select([self.two_echoes()], criteria(accepts=["several_volumes"]))

        assert len(selection.volume.frames) == 8
        assert selection.chosen.volume == "EchoTime (0018,0081) = 5"
        assert [candidate.volume.split(" = ")[1] for candidate in selection.candidates] == ["5", "10"]

    def test_sheared_stack_is_given_with_its_own_grid_where_tilt_is_accepted(self):
        tilted = axial(normal=(0, 0.2, 1))

        with pytest.raises(InputRefused, match="gantry_tilt"):
            select([tilted])
        volume = select([tilted], criteria(accepts=["gantry_tilt"])).volume

        assert volume.affine_lps[:3, 0] == pytest.approx((0, 0.6, 3))
        assert not volume.regular

    def test_volume_without_a_grid_is_refused_whatever_is_accepted(self):
        with pytest.raises(InputRefused, match="missing_slices"):
            select([gap("gap")], criteria(accepts=["missing_slices"]))

    def test_broken_file_beside_a_clean_series_is_refused_unless_accepted(self):
        broken = SkippedFile("cut.dcm", "does not parse", suspicious=True, broken=True)

        with pytest.raises(InputRefused, match=r"broken_file: cut\.dcm"):
            select([axial()], skipped=[broken])
        assert select([axial()], criteria(accepts=["broken_file"]), [broken]).chosen.reasons == ()


def test_report_and_projection_are_left_with_their_reasons():
    def report(header, _index):
        header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.34"
        header.Modality = "SR"
        del header.Rows

    def radiograph(header, _index):
        header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        for keyword in ("ImagePositionPatient", "ImageOrientationPatient"):
            delattr(header, keyword)

    with pytest.raises(NotApplicable) as left:
        select([axial("report", slices=1, edit=report), axial("picture", slices=1, edit=radiograph)])

    assert [reason.split(": ", 1)[1] for reason in left.value.reasons] == [
        "it holds no images (modality SR)",
        "it is a two-dimensional image, no volume",
    ]


def test_text_is_compared_without_regard_to_case():
    thorax = axial(edit=with_values(SeriesDescription="Thorax native"))

    with pytest.raises(NotApplicable, match="series description is Thorax native"):
        select([thorax], criteria({"series_description": {"matches": "^ABDOMEN"}}))
    assert select([thorax], criteria({"series_description": {"matches": "THORAX"}})).chosen.reasons == ()
