"""CalibrateValues: PET becomes SUVbw, everything else stays what it is."""

import numpy as np
import pytest

from operators.core.errors import InputRefused
from operators.preprocess.calibrate_values import calibrate_values
from tests.builders import make_volume
from tests.operators.preprocess.test_convert_to_suv import VALUES, make_pet


def example(_tmp_path):
    return None, {"volume": make_pet()}


def test_a_pet_is_in_suv_by_body_weight():
    # Half of 400 MBq in 80 kg: 2500 Bq/mL are an SUV of 1.
    assert calibrate_values(make_pet()).array[:, 0, 0] == pytest.approx(VALUES / 2500)


def test_a_ct_stays_as_it_is():
    volume = make_volume()

    assert calibrate_values(volume) is volume


def test_a_pet_that_does_not_say_its_dose_is_refused():
    def forget(header, _index):
        del header.RadiopharmaceuticalInformationSequence

    with pytest.raises(InputRefused):
        calibrate_values(make_pet(np.ones((3, 2, 2)), edit=forget))
