"""ModelFolder: the form of a folder decides the engine, and its files the digest."""

import shutil

import pytest

from operators.core.errors import ModelError
from operators.core.model_folder import EngineKind, find_model, holds_files

FORMS = {
    EngineKind.MONAI_BUNDLE: ("configs/metadata.json", "configs/inference.json", "models/model.pt"),
    EngineKind.NNUNET: ("plans.json", "dataset.json", "fold_0/checkpoint_final.pth", "fold_1/checkpoint_final.pth"),
    EngineKind.TORCHSCRIPT: ("model.yaml", "model.ts"),
}
each_form = pytest.mark.parametrize("kind", FORMS)


def make_folder(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    return folder


@each_form
def test_the_form_decides_the_engine(tmp_path, kind):
    model = find_model(make_folder(tmp_path, FORMS[kind]))

    assert (model.kind, set(model.files)) == (kind, set(FORMS[kind]))


@each_form
def test_a_model_without_one_of_its_parts_is_none(tmp_path, kind):
    for part in {name.split("/")[0] if name.startswith("fold") else name for name in FORMS[kind]} - {
        "fold_0",
        "fold_1",
    }:
        folder = make_folder(tmp_path / part.replace("/", "_"), FORMS[kind])
        (folder / part).unlink()

        with pytest.raises(ModelError, match="holds no model"):
            find_model(folder)


def test_a_folder_around_one_model_is_that_model(tmp_path):
    make_folder(tmp_path / "Dataset001" / "nnUNetTrainer__nnUNetPlans__2d", FORMS[EngineKind.NNUNET])

    assert find_model(tmp_path / "Dataset001").path.name == "nnUNetTrainer__nnUNetPlans__2d"


def test_a_folder_around_two_models_is_ambiguous(tmp_path):
    for name in ("2d", "3d"):
        make_folder(tmp_path / name, FORMS[EngineKind.NNUNET])

    with pytest.raises(ModelError, match=r"2 models \(2d, 3d\)"):
        find_model(tmp_path)


def test_a_file_is_no_model(tmp_path):
    with pytest.raises(ModelError, match="folder"):
        find_model(tmp_path / "model.pt")


@each_form
def test_the_digest_changes_with_every_file_of_the_model_and_with_no_other(tmp_path, kind):
    folder = make_folder(tmp_path, FORMS[kind])
    seen = {find_model(folder).digest}
    (folder / "training_log.txt").write_text("epoch 1")
    assert find_model(folder).digest in seen

    for name in FORMS[kind]:
        (folder / name).write_text("another " + name)
        seen.add(find_model(folder).digest)

    assert len(seen) == 1 + len(FORMS[kind])


@each_form
def test_the_digest_is_the_same_wherever_the_model_lies(tmp_path, kind):
    first = make_folder(tmp_path / "a", FORMS[kind])
    second = shutil.copytree(first, tmp_path / "b")

    assert find_model(first).digest == find_model(second).digest


def test_folds_by_their_final_checkpoint_without_the_one_of_all_data(tmp_path):
    names = ("fold_0/checkpoint_final.pth", "fold_0/checkpoint_best.pth", "fold_1/checkpoint_best.pth",
             "fold_all/checkpoint_final.pth")  # fmt: skip
    folder = make_folder(tmp_path, ("plans.json", "dataset.json", *names))

    assert find_model(folder).files == ("dataset.json", "fold_0/checkpoint_final.pth", "plans.json")


def test_best_checkpoints_and_the_fold_of_all_data_serve_where_there_is_nothing_else(tmp_path):
    folder = make_folder(tmp_path, ("plans.json", "dataset.json", "fold_all/checkpoint_best.pth"))

    assert "fold_all/checkpoint_best.pth" in find_model(folder).files


def test_an_empty_model_path_holds_no_files(tmp_path):
    (tmp_path / "models").mkdir()

    assert not holds_files(tmp_path)
    assert not holds_files(tmp_path / "none")
    assert holds_files(make_folder(tmp_path, ["models/a"]))
