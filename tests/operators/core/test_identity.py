"""Identity: everything that a result depends on, and nothing else, names it."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.uid import UID

from operators.core.identity import EPOCH, derived_uid, digest_of, identity_sha256, source_clock
from operators.core.volume import SourceSlice
from tests.builders import make_header, make_identity, make_volume


def source(index, pixel_sha256="0" * 64) -> SourceSlice:
    return SourceSlice(None, make_header(index), pixel_sha256)


def sha256_of(**changed) -> str:
    slices = changed.pop("slices", None) or [source(0), source(1)]
    given_values = {"app": "a", "version": "1.0.0", "model_digest": "m", "parameters": {"p": 1, "q": 2}} | changed
    return identity_sha256(slices=slices, **given_values)


def test_order_of_slices_and_of_parameters_does_not_matter():
    assert sha256_of(slices=[source(1), source(0)]) == sha256_of()
    assert sha256_of(parameters={"q": 2, "p": 1}) == sha256_of()


@pytest.mark.parametrize(
    "changed",
    [
        {"app": "b"},
        {"version": "1.0.1"},
        {"model_digest": "n"},
        {"parameters": {"p": 1, "q": 3}},
        {"parameters": {"p": 1}},
        {"slices": [source(0), source(2)]},
        {"slices": [source(0), source(1, "1" * 64)]},
        {"slices": [source(0)]},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_each_ingredient_changes_the_identity(changed):
    assert sha256_of(**changed) != sha256_of()


def test_pixels_that_change_places_are_another_input():
    a, b = "a" * 64, "b" * 64

    assert sha256_of(slices=[source(0, a), source(1, b)]) != sha256_of(slices=[source(0, b), source(1, a)])


@pytest.mark.parametrize("keyword", ["RescaleSlope", "PixelSpacing", "InstanceNumber", "PatientAge", "SliceThickness"])
def test_a_header_that_a_number_or_a_finding_depends_on_is_another_input_once_it_is_corrected(keyword):
    corrected = source(1)
    setattr(corrected.header, keyword, "012Y" if keyword == "PatientAge" else "7")

    assert sha256_of(slices=[source(0), corrected]) != sha256_of()


@given(st.text())
def test_derived_uid_is_valid_and_repeats_itself(name):
    uid = derived_uid(name)

    assert UID(uid).is_valid
    assert len(uid) <= 64
    assert uid.startswith("2.25.")
    assert uid == derived_uid(name)


@given(st.lists(st.text(), min_size=2, unique=True))
def test_other_names_give_other_uids(names):
    assert len({derived_uid(name) for name in names}) == len(names)


def test_uid_of_a_role_follows_identity_and_role():
    identity, other = make_identity(), make_identity(sha256="cd" * 32)

    uids = {identity.uid("seg/instance"), identity.uid("seg/series"), other.uid("seg/instance")}

    assert len(uids) == 3
    assert identity.uid("seg/series") == make_identity(clock=datetime(2001, 1, 1)).uid("seg/series")


@given(st.dictionaries(st.text(), st.integers() | st.text()))
def test_digest_does_not_depend_on_the_order_of_keys(content):
    backwards = dict(reversed(list(content.items())))

    assert digest_of(backwards) == digest_of(content)


def header(**values) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize("moment", ["InstanceCreation", "Content", "Acquisition", "Series", "Study"])
def test_clock_is_the_newest_moment_of_any_source(moment):
    older = header(StudyDate="20200101", StudyTime="120000", ContentDate="20200101", ContentTime="130000")
    newest = header(**{f"{moment}Date": "20200102", f"{moment}Time": "010203"})

    assert source_clock([older, newest]) == datetime(2020, 1, 2, 1, 2, 3)
    assert source_clock([newest, older]) == datetime(2020, 1, 2, 1, 2, 3)


@pytest.mark.parametrize(
    ("time", "expected"),
    [
        ("101112.987654", datetime(2020, 1, 1, 10, 11, 12)),
        ("1011", datetime(2020, 1, 1, 10, 11)),
        ("10", datetime(2020, 1, 1, 10)),
        ("", datetime(2020, 1, 1)),
    ],
)
def test_short_and_fractional_times_are_read(time, expected):
    assert source_clock([header(StudyDate="20200101", StudyTime=time)]) == expected


def test_without_a_date_the_clock_is_1970():
    assert source_clock([header(StudyDate="", StudyTime="101112"), Dataset()]) == EPOCH


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PixelSpacing", [1.4, 1.4]),
        ("RescaleIntercept", -1014),
        ("PatientID", "CORRECTED"),
        ("PatientName", "New^Name"),
        ("PatientSize", "1.60"),
    ],
)
def test_a_corrected_header_is_another_input(keyword, value):
    def digest(volume):
        return identity_sha256("app", "1.0.0", "model", {}, volume.slices)

    def correct(header, _index):
        setattr(header, keyword, value)

    assert digest(make_volume()) == digest(make_volume())
    assert digest(make_volume(edit=correct)) != digest(make_volume())
