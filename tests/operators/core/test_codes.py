"""Codes: every concept is one of the standard's, and it means what its name says."""

from pathlib import Path

import pytest
from pydicom.sr.coding import Code

import operators
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
    "SPATIAL_CONCEPT": ("309825002", "SCT"),
    "SELECTED_REGION": ("111099", "DCM"),
    "SIGNAL_INTENSITY": ("110852", "DCM"),
    "SUV_BODY_WEIGHT": ("126401", "DCM"),
    "SUV_UNIT": ("g/ml{SUVbw}", "UCUM"),
    "DISTANCE": ("121206", "DCM"),
    "LONG_AXIS": ("103339001", "SCT"),
    "SHORT_AXIS": ("103340004", "SCT"),
    "METABOLIC_VOLUME": ("126032", "DCM"),
    "TOTAL_LESION_GLYCOLYSIS": ("126033", "DCM"),
    "PEAK": ("126031", "DCM"),
    "MEDIAN": ("373099004", "SCT"),
    "MINIMUM": ("255605001", "SCT"),
    "MAXIMUM": ("56851009", "SCT"),
    "MILLIMETRE": ("mm", "UCUM"),
    "GRAM": ("g", "UCUM"),
    "NO_UNITS": ("1", "UCUM"),
    "NEIGHBORHOOD_ANALYSIS": ("123101", "DCM"),
    "PRESENT": ("52101004", "SCT"),
    "AREA": ("42798000", "SCT"),
    "SQUARE_CENTIMETRE": ("cm2", "UCUM"),
    "RATIO": ("118586006", "SCT"),
    "RATIO_UNIT": ("{ratio}", "UCUM"),
    "EQUATION": ("121420", "DCM"),
    "QUALITY_ASSESSMENT": ("111050", "DCM"),
    "QUALITY_FINDING": ("111052", "DCM"),
    "PRESENCE_OF_PROPERTY": ("121052", "DCM"),
    "FINDING": ("121071", "DCM"),
    "FINDING_CATEGORY": ("276214006", "SCT"),
    "QUALITATIVE_EVALUATIONS": ("C0034375", "UMLS"),
    "APPROXIMATE_SPATIAL_LOCATION": ("121226", "DCM"),
    "PROCEDURE_REPORTED": ("121058", "DCM"),
    "IMAGING_MEASUREMENTS": ("126010", "DCM"),
    "IMAGING_MEASUREMENT_REPORT": ("126000", "DCM"),
    "IMAGING_PROCEDURE": ("363679005", "SCT"),
    "ABSENT": ("272519000", "SCT"),
    "MEASUREMENT_NOT_ATTEMPTED": ("114007", "DCM"),
    "REJECTED_FOR_QUALITY": ("113001", "DCM"),
    "REJECTED_FOR_PATIENT_SAFETY": ("113037", "DCM"),
    "INCORRECT_WORKLIST_ENTRY": ("113038", "DCM"),
    "DATA_RETENTION_EXPIRED": ("113039", "DCM"),
}


@pytest.mark.parametrize(("name", "triplet"), EXPECTED.items())
def test_code_is_that_of_the_standard(name, triplet):
    assert (CODES[name].value, CODES[name].scheme_designator) == triplet


def test_no_two_names_share_a_code():
    triplets = [(code.value, code.scheme_designator) for code in CODES.values()]

    assert len(set(triplets)) == len(triplets)
    assert len(triplets) >= len(EXPECTED)


PRIVATE = [
    code for code in CODES.values() if code.scheme_designator not in {"SCT", "DCM", "UCUM", "LN", "UMLS", "IBSI"}
]


def test_private_codes_are_of_our_scheme_and_fit_their_elements():
    assert PRIVATE
    for code in PRIVATE:
        assert code.scheme_designator == "99MAPNODE"
        # Code Value is SH, Code Meaning LO (PS3.5 6.2).
        assert len(code.value) <= 16
        assert len(code.meaning) <= 64


def test_docs_list_every_private_code_with_its_meaning():
    page = Path(operators.__file__).parents[1] / "docs" / "conformance" / "private-codes.md"

    listed = [line.split("|")[1:3] for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]

    assert sorted((value.strip(" `"), meaning.strip()) for value, meaning in listed) == sorted(
        (code.value, code.meaning) for code in PRIVATE
    )
