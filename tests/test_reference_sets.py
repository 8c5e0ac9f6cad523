"""A site's reference set from end to end: made of usual studies, it lets a usual scan pass and tells an unlike one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mapnode.phantom import degrade
from mapnode.share import REFERENCES_VARIABLE
from operators.core.reference_set import LEAST_STUDIES
from tests.qc import scans

pytestmark = pytest.mark.long

APP = "ct_body_composition"
SPACING_MM = (6.0, 2.6, 2.6)
SLICES = 12


def usual(draw: int) -> scans.Scan:
    """A short stack of a trunk, as this site scans them."""
    scan = scans.phantom(np.random.default_rng([11, draw]), SPACING_MM)
    return scan.but(hu=scan.hu[:SLICES])


def call(references: Path, *arguments) -> dict:
    done = subprocess.run(
        [sys.executable, "-m", "mapnode", *map(str, arguments), "--json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
        env={**os.environ, REFERENCES_VARIABLE: str(references)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def quality_of(references: Path, scan: scans.Scan, folder: Path) -> dict:
    scan.write(folder / "in")
    return call(references, "run", APP, folder / "in", folder / "out")["quality"]


@pytest.fixture(scope="module")
def references(tmp_path_factory):
    """The folder of the site's sets, with one of as many studies as a set needs at least."""
    folder = tmp_path_factory.mktemp("references")
    studies = [tmp_path_factory.mktemp("study") for _ in range(LEAST_STUDIES)]
    for draw, study in enumerate(studies):
        usual(draw).write(study)
    made = call(folder, "qc", "reference", APP, *studies)
    assert (made["studies"], made["left_out"]) == (LEAST_STUDIES, [])
    assert made["output"] == str(folder / f"{APP}.json")
    return folder


def test_a_usual_scan_passes_and_was_compared(references, tmp_path):
    quality = quality_of(references, usual(LEAST_STUDIES), tmp_path)

    assert (quality["verdict"], quality["findings"]) == ("pass", [])
    assert not [sentence for sentence in quality.get("not_checked", []) if "reference" in sentence]


def test_a_scan_of_another_kernel_within_all_limits_is_told_from_the_others(references, tmp_path):
    scan = usual(LEAST_STUDIES)
    smooth = degrade.blur(scan.hu, scan.spacing_mm, 4.0)

    quality = quality_of(references, scan.but(hu=smooth), tmp_path)

    (finding,) = quality["findings"]
    assert (quality["verdict"], finding["code"]) == ("caution", "unlike_reference_scans")
    assert f"{LEAST_STUDIES} reference scans" in finding["message"]
