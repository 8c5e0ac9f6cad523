"""DeriveIdentity: what the job says comes first, else the input names the result."""

from datetime import datetime

import pytest

from operators.core.contract import Job
from operators.write.derive_identity import DeriveIdentityParameters, derive_identity
from tests.builders import make_ct_series, make_volume
from tests.segmented import make_hu, make_seg, read


def parameters(**changed) -> DeriveIdentityParameters:
    values = {"app": "test_app", "version": "1.2.3", "model_digest": "m", "parameters": {"p": 1}}
    return DeriveIdentityParameters(**(values | changed))


def example(_tmp_path):
    return parameters(), {"volume": make_volume()}


def test_identity_carries_app_and_version():
    identity = derive_identity(make_volume(), parameters())

    assert (identity.app, identity.version) == ("test_app", "1.2.3")
    assert len(identity.sha256) == 64


@pytest.mark.parametrize(
    "changed", [{"app": "other"}, {"version": "1.2.4"}, {"model_digest": "n"}, {"parameters": {"p": 2}}]
)
def test_each_parameter_changes_the_identity(changed):
    volume = make_volume()

    assert derive_identity(volume, parameters(**changed)).sha256 != derive_identity(volume, parameters()).sha256


def test_clock_of_the_source_does_not_change_the_identity():
    def older(header, _index):
        for moment in ("Study", "Series", "Acquisition", "Content"):
            setattr(header, f"{moment}Date", "19990101")

    now, then = (derive_identity(make_volume(edit=edit), parameters()) for edit in (None, older))

    assert then.sha256 == now.sha256
    assert then.clock.year == 1999


def test_what_else_was_measured_counts_with_every_byte(tmp_path):
    images = make_ct_series(tmp_path / "ct", hu=make_hu())
    found = []
    for name in ("A", "B"):
        make_seg(tmp_path / "seg.dcm", images, edit=lambda seg, name=name: setattr(seg, "ContentLabel", name))
        volume, regions = read(tmp_path)
        found.append(derive_identity(volume, parameters(), [regions]).sha256)

    assert len({*found, derive_identity(volume, parameters()).sha256}) == 3


def test_job_comes_first():
    job = Job(identity="cd" * 32, clock=datetime(2030, 5, 6, 7, 8, 9))

    identity = derive_identity(make_volume(), parameters(job=job))

    assert identity.sha256 == "cd" * 32
    assert identity.clock == datetime(2030, 5, 6, 7, 8, 9)
