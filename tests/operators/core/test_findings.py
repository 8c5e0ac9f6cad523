"""Findings: what is said of an input."""

import inspect

from operators.core import findings
from operators.core.findings import Finding, FindingCode


def test_sentence_holds_code_and_message():
    finding = Finding(FindingCode.GANTRY_TILT, "the stack is sheared", ("1.2.3",), ("a.dcm",))

    assert finding.sentence == "gantry_tilt: the stack is sheared"


def test_codes_are_the_names_in_small_letters():
    assert [code.value for code in FindingCode] == [code.name.lower() for code in FindingCode]


def test_every_code_is_explained():
    lines = [line.strip() for line in inspect.getsource(findings.FindingCode).splitlines()]

    for code in FindingCode:
        place = lines.index(f'{code.name} = "{code.value}"')
        assert lines[place + 1].startswith('"""')
