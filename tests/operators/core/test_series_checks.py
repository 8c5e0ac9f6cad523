"""Series checks: one source, one kind of image, and values that can be what they stand for."""

import pytest
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    MRImageStorage,
    SegmentationStorage,
)

from operators.core.findings import FindingCode
from operators.core.frames import frames_of
from operators.core.reading import IDENTITY_KEYWORDS
from operators.core.series_checks import check_instances, check_values, is_colour
from tests.builders import make_header, make_series


def one(defect, at=2):
    """An edit that puts a defect into one slice alone."""

    def edit(header, index):
        if index == at:
            defect(header)

    return edit


def every(**values):
    """An edit that sets attributes of every slice."""

    def edit(header, _index):
        for keyword, value in values.items():
            setattr(header, keyword, value)

    return edit


def frames(series):
    return [frame for instance in series.instances for frame in frames_of(instance)]


def source_codes(edit):
    return [finding.code for finding in check_instances(make_series(edit=edit))]


def value_findings(edit):
    return list(check_values(frames(make_series(edit=edit))))


class TestSource:
    """One patient, one study, one frame of reference, each instance once."""

    def test_series_without_a_defect_has_no_finding(self):
        assert source_codes(None) == []

    @pytest.mark.parametrize(
        ("code", "keyword", "value"),
        [
            (FindingCode.MIXED_PATIENT, "PatientID", "SOMEBODY ELSE"),
            (FindingCode.MIXED_STUDY, "StudyInstanceUID", "1.2.3"),
            (FindingCode.MIXED_FRAME_OF_REFERENCE, "FrameOfReferenceUID", "1.2.3"),
            (FindingCode.UNSUPPORTED_OBJECT, "SOPClassUID", SegmentationStorage),
            (FindingCode.TWO_DIMENSIONAL, "SOPClassUID", ComputedRadiographyImageStorage),
        ],
    )
    def test_slice_that_differs_is_found_by_its_uid(self, code, keyword, value):
        series = make_series(edit=one(lambda header: setattr(header, keyword, value)))

        findings = list(check_instances(series))

        assert [(f.code, f.instances) for f in findings] == [(code, (series.instances[2].uid,))]

    @pytest.mark.parametrize("keyword", ["PatientID", "FrameOfReferenceUID"])
    def test_attribute_that_one_slice_lacks_is_a_mixture(self, keyword):
        assert len(source_codes(one(lambda header: delattr(header, keyword)))) == 1

    def test_series_without_any_frame_of_reference_is_refused(self):
        """Type 1 (PS3.3 C.7.4.1): without it nothing says where a segment lies."""
        assert source_codes(lambda header, _: delattr(header, "FrameOfReferenceUID")) == [FindingCode.MISSING_ATTRIBUTE]

    @pytest.mark.parametrize("keyword", IDENTITY_KEYWORDS)
    @pytest.mark.parametrize("empty", [True, False])
    def test_image_that_does_not_say_what_it_is_is_found(self, keyword, empty):
        def strip(header, _index):
            delattr(header, keyword)
            if empty:
                setattr(header, keyword, "")

        (finding,) = check_instances(make_series(edit=strip))

        assert finding.code is FindingCode.MISSING_ATTRIBUTE
        assert keyword in finding.message

    def test_instance_stored_twice_is_found(self):
        series = make_series(edit=one(lambda header: setattr(header, "SOPInstanceUID", make_header(1).SOPInstanceUID)))

        (finding,) = check_instances(series)

        assert finding.code is FindingCode.DUPLICATE_INSTANCE
        assert finding.instances == (make_header(1).SOPInstanceUID,)

    def test_instance_without_a_uid_is_named_by_its_file(self):
        findings = check_instances(make_series(edit=one(lambda header: delattr(header, "SOPInstanceUID"))))

        assert [(f.instances, f.files) for f in findings] == [((), ("ct_2.dcm",))]

    def test_findings_do_not_repeat_the_patient_id(self):
        (finding,) = check_instances(make_series(edit=one(lambda header: setattr(header, "PatientID", "SECRET-7"))))

        assert "SECRET" not in finding.sentence
        assert "BUILT" not in finding.sentence


class TestRescale:
    """Stored values of CT become HU by Rescale Slope and Intercept, both Type 1 (PS3.3 C.8.2.1.1)."""

    @pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
    def test_one_ct_image_without_it_is_no_hu(self, keyword):
        series = make_series(edit=one(lambda header: delattr(header, keyword), at=3))

        (finding,) = check_values(frames(series))

        assert finding.code is FindingCode.MISSING_ATTRIBUTE
        assert keyword in finding.message
        assert finding.instances == (series.instances[3].uid,)

    @pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
    def test_mr_may_do_without_it(self, keyword):
        def mr(header, _index):
            header.SOPClassUID = MRImageStorage
            delattr(header, keyword)

        assert value_findings(mr) == []

    @pytest.mark.parametrize(
        ("keyword", "value", "code"),
        [
            ("RescaleSlope", "0", FindingCode.INVALID_ATTRIBUTE),
            ("RescaleSlope", "-1", FindingCode.INVALID_ATTRIBUTE),
            ("RescaleSlope", "1e30", FindingCode.INVALID_ATTRIBUTE),
            ("RescaleSlope", ["1", "2"], FindingCode.INVALID_ATTRIBUTE),
            ("RescaleIntercept", "1e9", FindingCode.INVALID_ATTRIBUTE),
            ("RescaleType", "Z_EFF", FindingCode.NOT_HOUNSFIELD),
            ("RescaleType", "US", FindingCode.NOT_HOUNSFIELD),
            ("PhotometricInterpretation", "PALETTE COLOR", FindingCode.COLOUR),
            ("SamplesPerPixel", 3, FindingCode.COLOUR),
        ],
    )
    def test_values_that_are_no_hu_of_a_ct_are_found(self, keyword, value, code):
        assert [f.code for f in value_findings(every(**{keyword: value}))] == [code]

    @pytest.mark.parametrize("rescale_type", ["HU", "hu", "HU_MOD"])
    def test_hounsfield_types_are_accepted(self, rescale_type):
        assert value_findings(every(RescaleType=rescale_type)) == []

    @pytest.mark.parametrize(("slope", "found"), [("0", True), ("-1", False), ("1e16", True), ("1e-6", False)])
    def test_slope_of_mr_may_be_any_number_but_none(self, slope, found):
        findings = value_findings(every(SOPClassUID=MRImageStorage, RescaleSlope=slope))

        assert [f.code for f in findings] == [FindingCode.INVALID_ATTRIBUTE] * found

    def test_image_with_the_defect_is_named_and_the_others_are_not(self):
        series = make_series(edit=one(lambda header: setattr(header, "RescaleSlope", "0"), at=5))

        (finding,) = check_values(frames(series))

        assert finding.instances == (series.instances[5].uid,)


@pytest.mark.parametrize(
    ("samples", "photometric", "expected"),
    [
        (1, "MONOCHROME1", False),
        (1, "MONOCHROME2", False),
        (None, None, False),
        (1, "PALETTE COLOR", True),
        (3, "RGB", True),
        (3, "YBR_FULL_422", True),
        (3, "MONOCHROME2", True),
    ],
)
def test_colour_is_more_than_one_sample_or_a_palette(samples, photometric, expected):
    header = make_header(0)
    if samples is not None:
        header.SamplesPerPixel, header.PhotometricInterpretation = samples, photometric
    (frame,) = frames_of(make_series([header]).instances[0])

    assert is_colour(frame) is expected
