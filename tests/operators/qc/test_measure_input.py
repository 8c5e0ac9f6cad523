"""MeasureInput: every quantity that a manifest can limit is measured."""

from operators.core.quality_limits import InputQuantity
from operators.qc.measure_input import measure_input
from tests.operators.qc.bodies import make_body


def example(_tmp_path):
    return None, {"volume": make_body(slices=3)}


def test_every_quantity_has_a_place():
    assert set(measure_input(make_body(slices=3))) == set(InputQuantity)
