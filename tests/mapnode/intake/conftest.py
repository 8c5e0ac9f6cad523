"""What the tests of the intake share: an Orthanc in memory, a clock, and an intake with rules."""

from types import SimpleNamespace

import pytest

from mapnode.intake import Intake, Patience, commitment, intake
from mapnode.intake.deciding import Decider
from mapnode.intake.source import SourceReader
from mapnode.rules import RuleSet
from tests.mapnode.engine import APP, Clock, FakeOrthanc, FakeStager
from tests.mapnode.intake.steps import IS_CT


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    for module in (intake, commitment):
        monkeypatch.setattr(module, "time", clock)
    return clock


@pytest.fixture
def orthanc(tmp_path):
    return FakeOrthanc(tmp_path / "storage")


@pytest.fixture
def files(tmp_path):
    # Holoscan, which comes with it, may be imported only after pytest_configure gave it its stack.
    from tests.builders import make_ct_series

    return make_ct_series(tmp_path / "source", slices=5)


@pytest.fixture
def make_node(orthanc, records, clock):
    """Makes an intake with rules; `said` has what it told others."""

    def make(*rules: dict, **patience: float) -> SimpleNamespace:
        named = [{"name": f"rule_{n}", "app": APP, **rule} for n, rule in enumerate(rules or [{"when": [IS_CT]}])]
        reader = SourceReader(orthanc, orthanc.storage, records.rejections.among)
        said = SimpleNamespace(asked=[], outlooks=[], withdrawn=[])
        decider = Decider(reader, records, RuleSet.model_validate({"rules": named}), {}, max_chain_depth=3)
        stager = FakeStager()
        taker = Intake(
            reader, records, decider, Patience(**patience),
            on_outlook=lambda outlook: said.outlooks.append(outlook.apps),
            ask=lambda known, last, aet: said.asked.append((known.source.id, last, aet)),
            on_withdrawn=lambda job, _: said.withdrawn.append(job),
            stager=stager,
        )  # fmt: skip
        return SimpleNamespace(intake=taker, said=said, stager=stager)

    return make
