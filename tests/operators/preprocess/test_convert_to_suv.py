"""ConvertToSUV: values by hand, by the standard's own formula, and a refusal for everything that is not said."""

from copy import deepcopy
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, Sequence
from pydicom.uid import CTImageStorage, EnhancedPETImageStorage, PositronEmissionTomographyImageStorage
from scipy.optimize import brentq

from operators.core.errors import InputRefused
from operators.core.findings import FindingCode
from operators.core.identity import derived_uid
from operators.core.volume import SourceSlice, Volume
from operators.preprocess.convert_to_suv import convert_to_suv, suv_factor
from operators.preprocess.pet_times import mean_activity_time_s
from tests.builders import make_affine

HALF_LIFE_S = 6000
"""Of no nuclide: 100 minutes, so that a scan at 11:40 is one half life after 10:00."""
F18_S = 6586.2
VALUES = np.array([0.0, 5000.0, 12500.0], dtype=np.float32)


def make_header(index: int) -> Dataset:
    """400 MBq at 10:00, scan at 11:40, one half life later, 80 kg."""
    header = Dataset()
    header.SOPClassUID = PositronEmissionTomographyImageStorage
    header.SOPInstanceUID = derived_uid(f"pet/{index}")
    header.Modality = "PT"
    header.SeriesDate, header.SeriesTime = "20250102", "114000"
    header.AcquisitionDate, header.AcquisitionTime = "20250102", "114000"
    header.Units = "BQML"
    header.CorrectedImage = ["NORM", "DTIM", "ATTN", "SCAT", "DECY"]
    header.DecayCorrection = "START"
    header.PatientWeight = "80"
    agent = Dataset()
    agent.RadionuclideTotalDose = "400000000"
    agent.RadionuclideHalfLife = str(HALF_LIFE_S)
    agent.RadiopharmaceuticalStartTime = "100000"
    header.RadiopharmaceuticalInformationSequence = Sequence([agent])
    return header


def make_pet(array=None, edit=None) -> Volume:
    """Three slices of 2 x 2 voxels, all with the value of their slice; `edit` changes the header of a slice."""
    if array is None:
        array = np.broadcast_to(VALUES[:, None, None], (3, 2, 2))
    headers = [make_header(index) for index in range(len(array))]
    for index, header in enumerate(headers):
        if edit is not None:
            edit(header, index)
    return Volume(
        array=np.array(array),
        affine_lps=make_affine(),
        frame_of_reference_uid=derived_uid("frame"),
        slices=tuple(SourceSlice(Path(f"pet_{i}.dcm"), h, f"{i:064x}") for i, h in enumerate(headers)),
    )


def setting(agent=None, **values):
    """An edit that sets attributes, None to delete; `agent` those of the radiopharmaceutical."""

    def edit(header, _index):
        for dataset, changes in ((header, values), (agent_of(header), agent or {})):
            for keyword, value in changes.items():
                if value is None:
                    delattr(dataset, keyword)
                else:
                    setattr(dataset, keyword, value)

    return edit


def agent_of(header: Dataset) -> Dataset:
    return header.RadiopharmaceuticalInformationSequence[0]


def with_private(group, creator, **values):
    """An edit that adds private attributes, by their element, as x0D="..."."""

    def edit(header, _index):
        header.Units = "CNTS" if group == 0x7053 else header.Units
        block = header.private_block(group, creator, create=True)
        for element, value in values.items():
            block.add_new(int(element[1:], 16), "DS" if group == 0x7053 else "DT", value)

    return edit


def philips(**values):
    return with_private(0x7053, "Philips PET Private Group", **values)


def both(*edits):
    def edit(header, index):
        for one in edits:
            one(header, index)

    return edit


def factor_of(edit=None) -> float:
    return suv_factor(make_pet(edit=edit).slices)


def example(_tmp_path):
    return None, {"volume": make_pet()}


# Values by hand


def test_activity_becomes_suv_by_weight_and_decayed_dose():
    # 400 MBq after one half life: 200 MBq. 80 000 g / 200 000 000 Bq = 0.0004 g/Bq.
    # 5000 Bq/mL x 0.0004 g/Bq = 2 g/mL; 12500 Bq/mL x 0.0004 g/Bq = 5 g/mL.
    suv = convert_to_suv(make_pet())

    assert suv.array.dtype == np.float32
    assert suv.array[:, 0, 0] == pytest.approx([0, 2, 5], rel=1e-6)
    assert suv.array[:, 1, 1] == pytest.approx([0, 2, 5], rel=1e-6)


def test_an_hour_of_f18_by_hand():
    # 3600 s / 6586.2 s = 0.546597 half lives; exp(-0.693147 x 0.546597) = exp(-0.378872) = 0.684633 is left.
    # 370 MBq x 0.684633 = 253.314 MBq; 70 000 g / 253.314 MBq = 2.76337e-4 g/Bq.
    agent = {
        "RadionuclideTotalDose": "370e6",
        "RadionuclideHalfLife": "6586.2",
        "RadiopharmaceuticalStartTime": "104000",
    }

    assert factor_of(setting(agent, PatientWeight="70")) == pytest.approx(2.76337e-4, rel=2e-6)


def test_image_corrected_to_the_administration_needs_neither_times_nor_half_life():
    # 80 000 g / 400 000 000 Bq = 0.0002 g/Bq: the dose as it was given.
    agent = {"RadionuclideHalfLife": None, "RadiopharmaceuticalStartTime": None}

    assert factor_of(setting(agent, DecayCorrection="ADMIN", SeriesTime=None)) == pytest.approx(2e-4, rel=1e-12)


@pytest.mark.parametrize("values", [{}, {"SUVType": "BW"}])
def test_suv_by_body_weight_stays_as_it_is(values):
    volume = make_pet(edit=setting(Units="GML", PatientWeight=None, **values))

    suv = convert_to_suv(volume)

    assert np.array_equal(suv.array, volume.array)


def test_counts_become_suv_by_the_factor_of_philips():
    suv = convert_to_suv(make_pet(edit=both(philips(x00="0.0008", x09="2.5"), setting(PatientWeight=None))))

    # 5000 x 0.0008 = 4
    assert suv.array[1, 0, 0] == pytest.approx(4, rel=1e-6)


@pytest.mark.parametrize("values", [{"x09": "2.5"}, {"x00": "0", "x09": "2.5"}, {"x00": "", "x09": "2.5"}])
def test_counts_without_suv_factor_become_activity_first(values):
    suv = convert_to_suv(make_pet(edit=philips(**values)))

    # 5000 counts x 2.5 = 12500 Bq/mL; x 0.0004 g/Bq = 5 g/mL
    assert suv.array[1, 0, 0] == pytest.approx(5, rel=1e-6)


def test_private_factor_that_lost_its_vr_is_read():
    def edit(header, _index):
        header.Units = "CNTS"
        header.private_block(0x7053, "Philips PET Private Group", create=True).add_new(0x00, "UN", b"0.0008\0")

    assert factor_of(edit) == pytest.approx(0.0008)


def test_private_factor_of_another_creator_is_not_taken_for_philips():
    edit = both(with_private(0x7053, "SOMEONE ELSE", x00="0.0008"))

    assert refusal(edit).code is FindingCode.MISSING_ATTRIBUTE


def test_grid_and_sources_stay():
    volume = make_pet()

    suv = convert_to_suv(volume)

    assert np.array_equal(suv.affine_lps, volume.affine_lps)
    assert suv.slices == volume.slices
    assert suv.frame_of_reference_uid == volume.frame_of_reference_uid


def test_input_is_not_touched():
    volume = make_pet()
    array, headers = volume.array.copy(), deepcopy([source.header for source in volume.slices])

    suv = convert_to_suv(volume)

    assert not np.shares_memory(suv.array, volume.array)
    assert np.array_equal(volume.array, array)
    assert [source.header for source in volume.slices] == headers


def test_whole_numbers_become_float():
    suv = convert_to_suv(make_pet(array=np.full((3, 1, 1), 5000, dtype=np.int16)))

    assert suv.array.dtype == np.float32
    assert suv.array.ravel() == pytest.approx([2, 2, 2], rel=1e-6)


# Times

ONE_HALF_LIFE = 80_000 / 200e6
"""Factor of a scan one half life after 400 MBq, 80 kg."""


def times(series=None, acquired=None, given_at=None, given_time=None):
    """An edit of times: datetimes of series and acquisition, start datetime and start time of day."""

    def edit(header, _index):
        for name, moment in (("Series", series), ("Acquisition", acquired)):
            if moment is not None:
                setattr(header, f"{name}Date", f"{moment:%Y%m%d}")
                setattr(header, f"{name}Time", f"{moment:%H%M%S.%f}")
        agent = agent_of(header)
        del agent.RadiopharmaceuticalStartTime
        if given_at is not None:
            agent.RadiopharmaceuticalStartDateTime = f"{given_at:%Y%m%d%H%M%S.%f}"
        if given_time is not None:
            agent.RadiopharmaceuticalStartTime = given_time

    return edit


SCAN = datetime(2025, 1, 2, 11, 40)
AFTER_MIDNIGHT = datetime(2025, 3, 1, 0, 30)
HALF_LIFE = timedelta(seconds=HALF_LIFE_S)


def test_time_of_day_after_that_of_the_scan_was_the_day_before():
    # 22:50 on the last of February, scan at 00:30 on the first of March: 100 minutes.
    edit = times(AFTER_MIDNIGHT, AFTER_MIDNIGHT, given_time="225000")

    assert factor_of(edit) == pytest.approx(ONE_HALF_LIFE, rel=1e-9)


@pytest.mark.parametrize("scan", [SCAN, AFTER_MIDNIGHT])
def test_date_and_time_say_the_day(scan):
    assert factor_of(times(scan, scan, given_at=scan - HALF_LIFE)) == pytest.approx(ONE_HALF_LIFE, rel=1e-9)


def test_both_times_may_say_the_same_around_midnight():
    # 23:59:59.6 and, cut to seconds by another system, 00:00:01: less than two seconds apart.
    given = datetime(2025, 1, 1, 23, 59, 59, 600_000)
    edit = times(given + HALF_LIFE, given + HALF_LIFE, given_at=given, given_time="000001")

    assert factor_of(edit) == pytest.approx(ONE_HALF_LIFE, rel=1e-9)


def test_date_and_time_in_the_zone_of_the_image_is_taken():
    agent = {"RadiopharmaceuticalStartDateTime": "20250102100000+0100", "RadiopharmaceuticalStartTime": None}
    edit = both(lambda h, _i: setattr(agent_of(h), "RadiopharmaceuticalStartDateTime", ""), setting(agent))

    assert factor_of(both(edit, setting(TimezoneOffsetFromUTC="+0100"))) == pytest.approx(ONE_HALF_LIFE, rel=1e-9)


def test_series_may_begin_before_the_first_acquisition():
    # Decay Correction START is to the Series Time, from which Frame Reference Time counts too.
    edit = times(SCAN, SCAN + timedelta(minutes=20), given_at=SCAN - HALF_LIFE)

    assert factor_of(edit) == pytest.approx(ONE_HALF_LIFE, rel=1e-9)


def test_series_that_begins_with_its_first_acquisition_does_not_ask_its_frames():
    # These frames would lead to another time, even of the one manufacturer whose frames are asked.
    edit = setting(Manufacturer="SIEMENS", FrameReferenceTime="1328700", ActualFrameDuration="120000")

    assert factor_of(edit) == pytest.approx(ONE_HALF_LIFE, rel=1e-9)


@pytest.mark.parametrize("made", [SCAN + timedelta(hours=3), SCAN + timedelta(minutes=4)])
def test_new_series_of_old_images_is_corrected_to_the_first_acquisition(made):
    def beds(header, index):
        # Each slice is a bed of its own, three minutes each, the last one first.
        acquired = SCAN + timedelta(minutes=3 * (2 - index))
        times(made, acquired, given_at=SCAN - HALF_LIFE)(header, index)

    assert factor_of(beds) == pytest.approx(ONE_HALF_LIFE, rel=1e-9)


def test_new_series_of_ge_names_the_scan_in_a_private_attribute():
    # The scan began 5 minutes before the first image's acquisition.
    began = SCAN - timedelta(minutes=5)
    edit = both(
        times(SCAN + timedelta(hours=3), SCAN, given_at=began - HALF_LIFE),
        with_private(0x0009, "GEMS_PETD_01", x0D=f"{began:%Y%m%d%H%M%S}.00"),
    )

    assert factor_of(edit) == pytest.approx(ONE_HALF_LIFE, rel=1e-9)


def mean_activity_time_by_integration_s(duration_s: float, half_life_s: float) -> float:
    """When activity is its mean over a frame: the mean by numeric integration, the time by bisection."""
    t = np.linspace(0, duration_s, 100_001)
    mean = np.trapezoid(2 ** (-t / half_life_s), t) / duration_s
    return brentq(lambda time: 2 ** (-time / half_life_s) - mean, 0, duration_s)


@pytest.mark.parametrize(("duration_s", "half_life_s"), [(120, F18_S), (1200, F18_S), (300, 122.24), (60, 76.38)])
def test_mean_activity_time_is_that_of_the_integral(duration_s, half_life_s):
    expected = mean_activity_time_by_integration_s(duration_s, half_life_s)

    assert mean_activity_time_s(duration_s, half_life_s) == pytest.approx(expected, abs=1e-4)


def frames(manufacturer, reference, *, first_bed, offset_error_s=(0, 0, 0)):
    """A new series of three beds whose Frame Reference Times count from `reference`."""
    average_s = mean_activity_time_by_integration_s(180, HALF_LIFE_S)

    def edit(header, index):
        acquired = first_bed + timedelta(minutes=3 * index)
        times(SCAN + timedelta(hours=3), acquired, given_at=reference - HALF_LIFE)(header, index)
        header.Manufacturer = manufacturer
        header.ActualFrameDuration = "180000"
        offset_s = (acquired - reference).total_seconds() + average_s + offset_error_s[index]
        header.FrameReferenceTime = f"{offset_s * 1000:.4f}"

    return edit


def test_new_series_of_siemens_after_a_second_injection_counts_back_from_its_frames():
    # The reference is the start of the first scan, 40 minutes before the first bed of this series.
    edit = frames("SIEMENS", SCAN, first_bed=SCAN + timedelta(minutes=40))

    assert factor_of(edit) == pytest.approx(ONE_HALF_LIFE, rel=1e-6)


@pytest.mark.parametrize("manufacturer", ["SIEMENS", "Any other"])
def test_frames_that_count_from_the_first_acquisition_change_nothing(manufacturer):
    assert factor_of(frames(manufacturer, SCAN, first_bed=SCAN)) == pytest.approx(ONE_HALF_LIFE, rel=1e-6)


def test_frames_of_another_manufacturer_that_count_from_elsewhere_are_refused():
    finding = refusal(frames("Any other", SCAN, first_bed=SCAN + timedelta(minutes=40)))

    assert finding.code is FindingCode.INVALID_ATTRIBUTE
    assert "FrameReferenceTime (0054,1300)" in finding.message


def test_frames_that_contradict_each_other_are_refused():
    edit = frames("SIEMENS", SCAN, first_bed=SCAN, offset_error_s=(0, 0, 5))

    assert "differ between the slices" in refusal(edit).message


@pytest.mark.parametrize("value", ["0", None])
def test_frames_without_an_offset_are_corrected_to_the_first_acquisition(value):
    edit = both(frames("CPS", SCAN, first_bed=SCAN), setting(FrameReferenceTime=value))

    assert factor_of(edit) == pytest.approx(ONE_HALF_LIFE, rel=1e-9)


# Refusals


def refusal(edit):
    with pytest.raises(InputRefused) as refused:
        factor_of(edit)
    (finding,) = refused.value.findings
    assert finding.instances == tuple(derived_uid(f"pet/{index}") for index in range(3))[: len(finding.instances)]
    assert "; " in finding.message or ": send" in finding.message
    return finding


@pytest.mark.parametrize(
    ("edit", "name"),
    [
        (setting(SOPClassUID=None), "SOPClassUID (0008,0016)"),
        (setting(Units=None), "Units (0054,1001)"),
        (setting(Units=""), "Units (0054,1001)"),
        (setting(CorrectedImage=None), "CorrectedImage (0028,0051)"),
        (setting(DecayCorrection=None), "DecayCorrection (0054,1102)"),
        (setting(PatientWeight=None), "PatientWeight (0010,1030)"),
        (setting(PatientWeight=""), "PatientWeight (0010,1030)"),
        (setting(SeriesDate=None), "SeriesDate (0008,0021)"),
        (setting(SeriesTime=None), "SeriesTime (0008,0031)"),
        (setting(AcquisitionDate=None), "AcquisitionDate (0008,0022)"),
        (setting(AcquisitionTime=""), "AcquisitionTime (0008,0032)"),
        (setting({"RadionuclideTotalDose": None}), "RadionuclideTotalDose (0018,1074)"),
        (setting({"RadionuclideHalfLife": ""}), "RadionuclideHalfLife (0018,1075)"),
        (setting({"RadiopharmaceuticalStartTime": None}), "RadiopharmaceuticalStartTime (0018,1072)"),
        (setting({"RadiopharmaceuticalStartTime": None}), "RadiopharmaceuticalStartDateTime (0018,1078)"),
        (
            lambda h, _i: h.pop("RadiopharmaceuticalInformationSequence"),
            "RadiopharmaceuticalInformationSequence (0054,0016)",
        ),
        (
            lambda h, _i: h.RadiopharmaceuticalInformationSequence.clear(),
            "RadiopharmaceuticalInformationSequence (0054,0016)",
        ),
        (setting(Units="CNTS"), "SUV Scale Factor (7053,1000)"),
        (philips(x00="0"), "Activity Concentration Scale Factor (7053,1009)"),
    ],
)
def test_what_is_missing_is_named(edit, name):
    finding = refusal(edit)

    assert finding.code is FindingCode.MISSING_ATTRIBUTE
    assert name in finding.message
    assert "send the series as the scanner wrote it" in finding.message


@pytest.mark.parametrize(
    ("edit", "name"),
    [
        (setting(SOPClassUID=CTImageStorage), "SOPClassUID (0008,0016)"),
        (setting(SOPClassUID=EnhancedPETImageStorage), "SOPClassUID (0008,0016)"),
        (setting(Units="PROPCPS"), "Units (0054,1001)"),
        (setting(Units="CM2ML"), "Units (0054,1001)"),
        (setting(Units="GML", SUVType="LBM"), "SUVType (0054,1006)"),
        (setting(Units="GML", SUVType="BSA"), "SUVType (0054,1006)"),
        (setting(CorrectedImage=["ATTN", "SCAT"]), "CorrectedImage (0028,0051)"),
        (setting(CorrectedImage=["DECY", "SCAT"]), "CorrectedImage (0028,0051)"),
        (setting(CorrectedImage="DECY"), "CorrectedImage (0028,0051)"),
        (setting(Units="GML", CorrectedImage="DECY"), "CorrectedImage (0028,0051)"),
        (setting(DecayCorrection="NONE"), "DecayCorrection (0054,1102)"),
        (setting(Units="GML", DecayCorrection="NONE"), "DecayCorrection (0054,1102)"),
        (both(philips(x00="0.0008"), setting(DecayCorrection="NONE")), "DecayCorrection (0054,1102)"),
        (setting(PatientWeight="0"), "PatientWeight (0010,1030)"),
        (setting(PatientWeight="-80"), "PatientWeight (0010,1030)"),
        (setting(PatientWeight="80000"), "PatientWeight (0010,1030)"),
        (setting(DecayCorrection="ADMIN", PatientWeight="0"), "PatientWeight (0010,1030)"),
        (setting({"RadionuclideTotalDose": "0"}), "RadionuclideTotalDose (0018,1074)"),
        (setting({"RadionuclideTotalDose": "400"}), "RadionuclideTotalDose (0018,1074)"),
        (setting({"RadionuclideTotalDose": "400000"}), "RadionuclideTotalDose (0018,1074)"),
        (setting({"RadionuclideTotalDose": "4e11"}), "RadionuclideTotalDose (0018,1074)"),
        (setting({"RadionuclideHalfLife": "0"}), "RadionuclideHalfLife (0018,1075)"),
        (setting({"RadionuclideHalfLife": "1.83"}), "RadionuclideHalfLife (0018,1075)"),
        (setting({"RadionuclideHalfLife": "109.77"}), "RadiopharmaceuticalStartTime (0018,1072)"),
        (setting({"RadiopharmaceuticalStartTime": "10"}), "RadiopharmaceuticalStartTime (0018,1072)"),
        (setting({"RadiopharmaceuticalStartTime": "250000"}), "RadiopharmaceuticalStartTime (0018,1072)"),
        (setting({"RadiopharmaceuticalStartTime": "114030"}), "RadiopharmaceuticalStartTime (0018,1072)"),
        (
            setting({"RadionuclideHalfLife": "45721"}),
            "RadiopharmaceuticalStartTime (0018,1072) does not say the day",
        ),
        (setting({"RadiopharmaceuticalStartDateTime": "20250102"}), "RadiopharmaceuticalStartDateTime (0018,1078)"),
        (
            setting({"RadiopharmaceuticalStartDateTime": "20250102100000+0100"}),
            "RadiopharmaceuticalStartDateTime (0018,1078)",
        ),
        (setting({"RadiopharmaceuticalStartDateTime": "20250102100500"}), "contradict each other"),
        (times(given_at=SCAN + timedelta(seconds=30)), "RadiopharmaceuticalStartDateTime (0018,1078)"),
        (times(given_at=SCAN - timedelta(days=1)), "RadiopharmaceuticalStartDateTime (0018,1078)"),
        (setting(SeriesDate="20250230"), "SeriesDate (0008,0021)"),
        # The day before: with a time of day alone the dose would be of five hours later than it is.
        (setting(SeriesDate="20250101", SeriesTime="150000"), "SeriesDate (0008,0021) or SeriesTime (0008,0031) lies"),
        (setting(SeriesTime="11"), "SeriesTime (0008,0031)"),
        (
            lambda h, _i: h.RadiopharmaceuticalInformationSequence.append(Dataset()),
            "RadiopharmaceuticalInformationSequence (0054,0016)",
        ),
        (philips(x00="-0.0008"), "SUV Scale Factor (7053,1000)"),
        (
            both(
                times(SCAN + timedelta(hours=3), SCAN, given_at=SCAN - HALF_LIFE),
                with_private(0x0009, "GEMS_PETD_01", x0D="20250102125000"),
            ),
            "PET scan_datetime (0009,100D)",
        ),
        (
            both(
                times(SCAN + timedelta(hours=3), SCAN, given_at=SCAN - HALF_LIFE),
                with_private(0x0009, "GEMS_PETD_01", x0D="yesterday"),
            ),
            "PET scan_datetime (0009,100D)",
        ),
    ],
)
# pydicom warns of values that are none of their VR when a test writes them, as it does not when a node reads them.
@pytest.mark.filterwarnings("ignore:Invalid value for VR")
def test_what_cannot_be_is_named(edit, name):
    finding = refusal(edit)

    assert finding.code is FindingCode.INVALID_ATTRIBUTE
    assert name in finding.message


@pytest.mark.parametrize("text", ["eighty", "nan", "inf", "80 kg"])
def test_weight_that_is_no_number_is_refused(text, monkeypatch):
    monkeypatch.setattr("operators.preprocess.agreed.read_value", lambda d, k: text if "Weight" in k else d.get(k))

    finding = refusal(None)

    assert finding.code is FindingCode.INVALID_ATTRIBUTE
    assert "PatientWeight (0010,1030)" in finding.message


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"Units": "CNTS"}, "Units (0054,1001)"),
        ({"CorrectedImage": ["ATTN", "DECY"]}, "CorrectedImage (0028,0051)"),
        ({"DecayCorrection": "ADMIN"}, "DecayCorrection (0054,1102)"),
        ({"PatientWeight": "81"}, "PatientWeight (0010,1030)"),
        ({"PatientWeight": None}, "PatientWeight (0010,1030)"),
        ({"SeriesTime": "113959"}, "SeriesTime (0008,0031)"),
        ({"agent": {"RadionuclideTotalDose": "400000001"}}, "RadionuclideTotalDose (0018,1074)"),
        ({"agent": {"RadionuclideHalfLife": "6001"}}, "RadionuclideHalfLife (0018,1075)"),
        ({"agent": {"RadiopharmaceuticalStartTime": "100001"}}, "RadiopharmaceuticalStartTime (0018,1072)"),
    ],
)
def test_slices_that_disagree_are_refused(changes, name):
    def edit(header, index):
        if index == 1:
            setting(**changes)(header, index)

    finding = refusal(edit)

    assert f"{name} differs inside the volume: 1 of 3 slices disagree" in finding.message


def test_refusal_tells_no_date():
    finding = refusal(times(given_at=SCAN - timedelta(days=1)))

    assert "2025" not in finding.message


# Properties

finite = st.floats(-1e6, 1e6, width=32)


@given(finite, st.floats(-1000, 1000, width=32))
def test_suv_is_linear_in_the_value(value, scale):
    one, many = (
        convert_to_suv(make_pet(array=np.full((1, 1, 1), v, np.float64))).array.item() for v in (value, scale * value)
    )

    assert many == pytest.approx(scale * one, rel=1e-6, abs=1e-30)


@given(st.floats(1.1e6, 4.9e9), st.floats(1.01, 2))
def test_suv_is_inversely_proportional_to_the_dose(dose_bq, more):
    less_dose, more_dose = (
        factor_of(setting({"RadionuclideTotalDose": f"{dose:.10g}"})) for dose in (dose_bq, dose_bq * more)
    )

    assert less_dose / more_dose == pytest.approx(more, rel=1e-8)


@given(st.integers(0, 4 * HALF_LIFE_S), st.integers(100, 14_000))
def test_one_half_life_more_doubles_suv(uptake_s, half_life_s):
    if uptake_s > 4 * half_life_s:
        uptake_s %= 4 * half_life_s
    factors = []
    for waited_s in (uptake_s, uptake_s + half_life_s):
        edit = times(given_at=SCAN - timedelta(seconds=waited_s))
        factors.append(factor_of(both(edit, setting({"RadionuclideHalfLife": str(half_life_s)}))))

    assert factors[1] == pytest.approx(2 * factors[0], rel=1e-9)


@given(st.floats(0.5, 5))
def test_weight_and_dose_of_another_scale_give_the_same_suv(scale):
    scaled = setting({"RadionuclideTotalDose": f"{400e6 * scale:.10g}"}, PatientWeight=f"{80 * scale:.10g}")

    assert factor_of(scaled) == pytest.approx(ONE_HALF_LIFE, rel=1e-8)


@given(st.permutations(range(3)), st.sampled_from(["series", "frames", "acquisitions"]))
def test_order_of_the_slices_does_not_matter(order, kind):
    edit = {
        "series": None,
        "frames": frames("SIEMENS", SCAN, first_bed=SCAN + timedelta(minutes=40)),
        "acquisitions": both(frames("", SCAN, first_bed=SCAN), setting(FrameReferenceTime="0")),
    }[kind]
    volume = make_pet(edit=edit)
    turned = Volume(
        array=volume.array[list(order)],
        affine_lps=volume.affine_lps.copy(),
        frame_of_reference_uid=volume.frame_of_reference_uid,
        slices=tuple(volume.slices[i] for i in order),
    )

    assert np.array_equal(convert_to_suv(turned).array, convert_to_suv(volume).array[list(order)])
