"""NetworkEngine: a model is loaded once, named by its digest, and chosen by its folder."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from operators.core.errors import GeometryError, ModelError, SegmentationError
from operators.core.manifest import Manifest
from operators.core.model_folder import EngineKind, find_model
from operators.core.orientation import canonical
from operators.core.volume import Volume
from operators.segment import Segment, TrunkEngine, choose_engine
from operators.segment.networks import NetworkEngine, NetworkSettings, network_engine
from operators.segment.networks.network import Prediction
from tests.builders import CORONAL, OBLIQUE, SAGITTAL, make_affine

MANIFEST = {
    "application": {"title": "toy", "version": "1.0.0", "summary": "toy"},
    "resources": {},
    "mapnode": {
        "input": {"must": {}},
        "model": {"engine": "torchscript", "licence": "none", "labels": {"bright": "bone"}, "orientation": "RAS"},
        "outputs": [],
        "intended_use": "tests",
        "refuses": [],
        "weak_points": [],
        "parameters": {"mirroring": False},
    },
}
IMAGES = []


class Bright:
    """Stands for a network: bright voxels are bone."""

    labels = {"bright": (1,)}  # noqa: RUF012

    def predict(self, image, _settings, _watch):
        IMAGES.append(image)
        inside = image.array > 150
        return Prediction(inside.astype(np.uint8), {"bright": inside.astype(np.float32)})


@pytest.fixture
def folder(tmp_path):
    for name in ("model.ts", "model.yaml"):
        (tmp_path / name).write_text(name)
    return tmp_path


@pytest.fixture
def loads(monkeypatch):
    """Names of what was loaded; a stand-in for every format."""
    loaded = []

    def load(model):
        loaded.append(model.path.name)
        return Bright()

    monkeypatch.setattr(network_engine, "LOADERS", dict.fromkeys(EngineKind, ("labels", "load")))
    monkeypatch.setattr("operators.segment.networks.labels.load", load, raising=False)
    network_engine._loaded.cache_clear()
    yield loaded
    network_engine._loaded.cache_clear()


def engine(folder, **changes):
    return dataclasses.replace(
        NetworkEngine(find_model(folder), "1.0.0", labels={"bright": "bone"}, orientation="RAS"), **changes
    )


def make_volume(directions, padding=None):
    array = np.random.default_rng(0).integers(-1000, 1000, (4, 5, 6)).astype(np.int16)
    return Volume(array, make_affine(directions), "1.2", (), padding)


def silent(_fraction, _step):
    """Nobody listens."""


def run_context(folder, manifest=MANIFEST):
    checked = Manifest.model_validate(manifest)
    return SimpleNamespace(manifest=checked, model_folder=folder, parameters=checked.mapnode.parameters)


def test_a_worker_loads_a_model_once_for_all_its_runs(folder, loads):
    Segment.prepare(folder)
    for _ in range(3):
        engine(folder).segment(make_volume(CORONAL), silent)

    assert loads == [folder.name]


def test_a_model_whose_file_changed_is_loaded_anew(folder, loads):
    Segment.prepare(folder)
    (folder / "model.ts").write_text("new weights")

    Segment.prepare(folder)

    assert loads == [folder.name] * 2


def test_a_worker_of_an_app_without_weights_loads_none(loads):
    Segment.prepare(None)

    assert loads == []


@pytest.mark.parametrize("directions", [CORONAL, SAGITTAL, OBLIQUE])
def test_the_network_sees_its_orientation_and_labels_lie_where_the_volume_lies(folder, loads, directions):
    volume = make_volume(directions)

    found = engine(folder).segment(volume, silent)

    assert np.array_equal(found.array, volume.array > 150)
    assert np.array_equal(found.probabilities.arrays[0], volume.array > 150)
    assert [(s.name, s.labels) for s in found.segments] == [("bone", (1,))]
    image = IMAGES[-1]
    assert canonical(image.affine_lps, "RAS").flips == ()
    assert canonical(image.affine_lps, "RAS").order == (0, 1, 2)
    # The same voxel lies at the same place in both.
    corner = np.argwhere(image.array == volume.array[0, 0, 0])[0]
    assert image.affine_lps @ (*corner, 1) == pytest.approx(volume.affine_lps @ (0, 0, 0, 1))


def test_padding_is_the_lowest_value_to_the_network(folder, loads):
    padding = np.zeros((4, 5, 6), bool)
    padding[0] = True
    volume = make_volume(CORONAL, padding)

    found = engine(folder, orientation="stored").segment(volume, silent)

    assert not found.array[0].any()
    assert IMAGES[-1].array[0].max() == volume.array[1:].min()


def test_nothing_but_padding_is_refused(folder, loads):
    with pytest.raises(SegmentationError, match="padding"):
        engine(folder).segment(make_volume(CORONAL, np.ones((4, 5, 6), bool)), silent)


def test_a_tilted_stack_is_refused(folder, loads):
    affine = make_affine()
    affine[1, 0] = affine[2, 0] / 4

    with pytest.raises(GeometryError, match="StraightenStack"):
        engine(folder).segment(Volume(np.zeros((4, 5, 6), np.int16), affine, "1.2", ()), silent)


@pytest.mark.parametrize(
    "changed",
    [
        {"version": "1.0.1"},
        {"settings": NetworkSettings(mirroring=False)},
        {"labels": {"bright": "liver"}},
        {"orientation": "LPS"},
    ],
)
def test_the_digest_changes_with_all_that_changes_a_result(folder, changed):
    assert engine(folder, **changed).algorithm.digest != engine(folder).algorithm.digest


def test_the_digest_changes_with_the_weights(folder):
    before = engine(folder).algorithm.digest
    (folder / "model.ts").write_text("new weights")

    assert engine(folder).algorithm.digest != before


def test_a_model_folder_is_the_engine_with_what_manifest_and_parameters_say(folder):
    chosen = choose_engine(run_context(folder), TrunkEngine("1.0.0"))

    assert chosen == engine(folder, settings=NetworkSettings(mirroring=False))


def test_a_model_without_a_segment_that_the_app_measures_is_refused(folder, loads):
    assert choose_engine(run_context(folder), needs=["bone"]) == engine(
        folder, settings=NetworkSettings(mirroring=False)
    )

    with pytest.raises(ModelError, match=r"no liver, spleen, which the app measures"):
        choose_engine(run_context(folder), needs=["bone", "spleen", "liver"])


def test_without_a_folder_the_classical_default_segments():
    classical = TrunkEngine("1.0.0")
    manifest = {**MANIFEST, "mapnode": {**MANIFEST["mapnode"], "model": {"engine": "classical", "licence": "none"}}}

    assert choose_engine(run_context(None, manifest), classical) is classical


def test_an_app_with_neither_is_disabled_and_says_so():
    with pytest.raises(ModelError, match="toy is disabled: it has no weights and no classical default"):
        choose_engine(run_context(None), TrunkEngine("1.0.0"))


def test_a_missing_package_names_the_extra_to_install(folder, monkeypatch):
    monkeypatch.setattr(network_engine, "LOADERS", {EngineKind.TORCHSCRIPT: ("no_such_module", "load")})
    network_engine._loaded.cache_clear()

    with pytest.raises(ModelError, match=r"mapnode\[models\]"):
        Segment.prepare(folder)
