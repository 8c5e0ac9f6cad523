"""Quality control through whole apps: a short form of `make qc-cases`."""

import pytest

from tests.qc.running import LEGS, TRUNK, run_fit, run_unfit

SHORT = (
    "spacing x2 in the header",
    "HU shifted by 100",
    "HU clipped at 0",
    "metal implant",
    "body cropped on one side",
    "every second slice missing",
    "another body region (head)",
    "noise of 150 HU",
)
DRAWN = [(TRUNK, kind) for kind in (*SHORT, "left-right mirrored array")]
DRAWN += [(LEGS, kind) for kind in (*SHORT, "another body region (trunk)", "a child")]


def silent(_line):
    """Nobody listens."""


@pytest.mark.chain
@pytest.mark.parametrize(("subject", "kind"), DRAWN, ids=lambda value: getattr(value, "app", value))
def test_an_unfit_scan_is_not_measured_in_silence(subject, kind):
    (end,) = run_unfit(subject, 1, 7, silent, [kind])

    assert end.stopped, end.line


@pytest.mark.chain
@pytest.mark.parametrize("subject", [TRUNK, LEGS], ids=lambda subject: subject.app)
def test_scans_that_fit_pass_in_any_order_of_storage(subject):
    assert [end.line for end in run_fit(subject, 4, 7, silent) if end.verdict != "pass"] == []
