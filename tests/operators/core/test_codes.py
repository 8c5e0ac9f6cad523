"""Codes: every concept is one of the standard's, and it means what its name says."""

import pytest
from pydicom.sr.coding import Code

from operators.core import codes

CODES = {name: value for name, value in vars(codes).items() if isinstance(value, Code)}

# Read in PS3.16 Annex D and in the SNOMED CT subset of DICOM, not from the module.
EXPECTED = {
    "ANATOMICAL_STRUCTURE": ("91723000", "SCT"),
    "TISSUE": ("85756007", "SCT"),
    "SUBCUTANEOUS_TISSUE": ("71966008", "SCT"),
    "SKELETAL_MUSCLE": ("127954009", "SCT"),
    "VOLUME": ("118565006", "SCT"),
    "ATTENUATION_COEFFICIENT": ("112031", "DCM"),
    "MEAN": ("373098007", "SCT"),
    "STANDARD_DEVIATION": ("386136009", "SCT"),
    "CUBIC_CENTIMETRE": ("cm3", "UCUM"),
    "HOUNSFIELD_UNIT": ("[hnsf'U]", "UCUM"),
    "COMMENT": ("121106", "DCM"),
}


@pytest.mark.parametrize(("name", "triplet"), EXPECTED.items())
def test_code_is_that_of_the_standard(name, triplet):
    assert (CODES[name].value, CODES[name].scheme_designator) == triplet


def test_no_two_names_share_a_code():
    triplets = [(code.value, code.scheme_designator) for code in CODES.values()]

    assert len(set(triplets)) == len(triplets)
    assert len(triplets) >= len(EXPECTED)
