"""Defaults: what results carry that is invented."""

from operators.core import defaults


def test_research_status_forbids_diagnosis():
    assert "not for diagnosis" in defaults.RESEARCH_STATUS.lower()


def test_results_are_series_of_their_own_behind_the_images():
    assert defaults.SEG_SERIES_NUMBER != defaults.SR_SERIES_NUMBER
    assert min(defaults.SEG_SERIES_NUMBER, defaults.SR_SERIES_NUMBER) > 1000
