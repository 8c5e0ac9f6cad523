"""Quality control through the whole app: a short form of `make qc-cases`."""

import pytest

from tests.qc.running import run_fit, run_unfit

SHORT = (
    "spacing x2 in the header",
    "HU shifted by 100",
    "HU clipped at 0",
    "metal implant",
    "body cropped on one side",
    "every second slice missing",
    "left-right mirrored array",
    "another body region (head)",
    "noise of 150 HU",
)


def silent(_line):
    """Nobody listens."""


@pytest.mark.chain
@pytest.mark.parametrize("kind", SHORT)
def test_an_unfit_scan_is_not_measured_in_silence(kind):
    (end,) = run_unfit(1, 7, silent, [kind])

    assert end.stopped, end.line


@pytest.mark.chain
def test_scans_that_fit_pass_in_any_order_of_storage():
    assert [end.line for end in run_fit(4, 7, silent) if end.verdict != "pass"] == []
