"""Reference building: studies that are measured make the set, others are named with their reasons."""

import random
from pathlib import Path

import pytest

from mapnode import reference_building
from mapnode.app_catalogue import find_app
from mapnode.errors import WrongUse
from mapnode.reference_building import build
from operators.core.contract import Progress, Quality, Reason, Result, Status

FOLDERS = [Path(f"study {number}") for number in range(24)]


def measured(verdict="pass", seed=7):
    noise = random.Random(seed)

    def answer():
        features = {"noise_hu": noise.gauss(15, 2), "fat_share": noise.gauss(0.3, 0.05)}
        quality = Quality(verdict=verdict, features={} if verdict == "hold" else features)
        return Result(app="a", version="1", status=Status.DONE, quality=quality)

    return answer


def refused():
    reasons = (Reason(code="gantry_tilt", message="tilted"),)
    return Result(app="a", version="1", status=Status.REFUSED, reasons=reasons)


@pytest.fixture
def answers(monkeypatch):
    """What the app answers, folder by folder; the rest is measured."""
    given, usual = {}, measured()

    def run_app(_app, source, target, *, on_progress):
        assert target.is_dir()
        on_progress(Progress(operator="Segment", fraction=0.5))
        return given.get(source, usual)()

    monkeypatch.setattr(reference_building, "run_app", run_app)
    return given


def test_the_set_has_a_row_a_study_and_is_of_the_app(answers):
    app = find_app("ct_body_composition")

    built = build(app, FOLDERS, 95, lambda _: None)

    assert (built.reference.app, built.reference.version) == (app.name, app.manifest.application.version)
    assert (len(built.reference.rows), built.reference.features) == (24, ("noise_hu", "fat_share"))
    assert built.left_out == ()


def test_studies_that_are_refused_or_held_are_left_out_with_their_reasons(answers):
    answers[FOLDERS[3]], answers[FOLDERS[5]] = refused, measured("hold")

    built = build(find_app("ct_body_composition"), FOLDERS, 95, lambda _: None)

    assert len(built.reference.rows) == 22
    assert [(one.folder, one.reason) for one in built.left_out] == [
        (FOLDERS[3], "refused: gantry_tilt: tilted"),
        (FOLDERS[5], "the numbers were held back"),
    ]


def test_a_study_that_is_given_twice_counts_once(answers):
    once = measured(seed=8)()
    answers.update(dict.fromkeys(FOLDERS[2:5], lambda: once))

    built = build(find_app("ct_body_composition"), FOLDERS, 95, lambda _: None)

    assert len(built.reference.rows) == len(set(built.reference.rows)) == 22
    assert [one.folder for one in built.left_out] == FOLDERS[3:5]
    assert all("in the set already" in one.reason for one in built.left_out)


def test_copies_of_one_study_are_no_reference_set(answers):
    once = measured(seed=8)()
    answers.update(dict.fromkeys(FOLDERS, lambda: once))

    with pytest.raises(WrongUse, match="there are 1 "):
        build(find_app("ct_body_composition"), FOLDERS, 95, lambda _: None)


def test_too_few_studies_are_wrong_use_with_the_reasons(answers):
    answers.update(dict.fromkeys(FOLDERS[:5], refused))

    with pytest.raises(WrongUse, match=r"at least 20 scans, there are 19.*study 0: refused"):
        build(find_app("ct_body_composition"), FOLDERS, 95, lambda _: None)


def test_progress_runs_over_all_studies(answers):
    heard = []

    build(find_app("ct_body_composition"), FOLDERS, 95, heard.append)

    fractions = [progress.fraction for progress in heard]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(23.5 / 24)
