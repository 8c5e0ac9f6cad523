"""Settings: an empty file is a node, and whatever is wrong in one is named."""

from pathlib import Path

import pytest

from mapnode.app_catalogue import App
from mapnode.errors import WrongUse
from mapnode.settings import ImageSettings, Settings, load_settings
from mapnode.share import shared_folder
from operators.core.manifest import OutputPart, read_manifest


@pytest.fixture
def load(tmp_path):
    """Loads a file of the given text."""

    def write_and_load(text: str) -> Settings:
        (tmp_path / "mapnode.yaml").write_text(text)
        return load_settings(tmp_path / "mapnode.yaml")

    return write_and_load


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "---\n", "{}"])
def test_an_empty_file_is_a_node(load, tmp_path, text):
    settings = load(text)

    assert settings == Settings(var=tmp_path / "var", rules=tmp_path / "rules.yaml")


def test_no_file_is_a_node_in_the_current_folder():
    assert load_settings(None) == Settings()
    assert Settings().var == Path("var")


def test_what_a_file_says_replaces_defaults_and_nothing_else(load):
    settings = load("workers: 3\northanc: {aet: OTHER, modalities: [{aet: CT1, host: 10.0.0.7}]}")

    assert (settings.workers, settings.orthanc.aet) == (3, "OTHER")
    assert settings.orthanc.dicom_port == Settings().orthanc.dicom_port
    assert [(m.aet, m.host, m.port) for m in settings.orthanc.modalities] == [("CT1", "10.0.0.7", 104)]


def test_relative_paths_are_relative_to_the_file(load, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")

    settings = load("var: data/node\nrules: ../rules.yaml")

    assert settings.var == tmp_path / "data" / "node"
    assert settings.rules.resolve() == tmp_path.parent / "rules.yaml"


def test_a_folder_of_reference_sets_is_relative_to_the_file_and_has_to_be_there(load, tmp_path):
    with pytest.raises(WrongUse, match="sets is no folder"):
        load("references: sets")

    (tmp_path / "sets").mkdir()
    assert load("references: sets").references == tmp_path / "sets"


def test_a_relative_file_gives_paths_that_stay_when_the_folder_changes(tmp_path, monkeypatch):
    (tmp_path / "mapnode.yaml").write_text("")
    monkeypatch.chdir(tmp_path)

    settings = load_settings(Path("mapnode.yaml"))

    assert settings.var == tmp_path / "var"


def test_absolute_paths_stay(load):
    settings = load("var: /srv/node\nrules: /etc/rules.yaml")

    assert (settings.var, settings.rules) == (Path("/srv/node"), Path("/etc/rules.yaml"))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("colour: blue", "colour"),
        ("orthanc: {colour: blue}", "orthanc.colour"),
        ("orthanc: {modalities: [{aet: A, host: h}, {aet: B, host: h, colour: blue}]}", "orthanc.modalities.1.colour"),
        ("workers: many", "workers"),
        ("workers: 0", "workers"),
        ("workers: 1.5", "workers"),
        ("settle_s: 0", "settle_s"),
        ("poll_s: -1", "poll_s"),
        ("job_timeout_s: soon", "job_timeout_s"),
        ("orthanc: plain", "orthanc"),
        ("orthanc: {plugin: perhaps}", "orthanc.plugin"),
        ("orthanc: {dicom_port: 0}", "orthanc.dicom_port"),
        ("orthanc: {http_port: 65536}", "orthanc.http_port"),
        ("orthanc: {modalities: [{aet: A, host: h, port: 70000}]}", "orthanc.modalities.0.port"),
        ("orthanc: {modalities: [{aet: A}]}", "orthanc.modalities.0.host"),
        ("orthanc: {aet: SEVENTEEN_LETTERS}", "orthanc.aet"),
        ("orthanc: {aet: ''}", "orthanc.aet"),
        ("objects: {hologram: true}", "objects.hologram"),
        ("objects: [seg]", "objects"),
    ],
)
def test_what_is_wrong_is_named_with_its_file_and_line(load, tmp_path, text, named):
    with pytest.raises(WrongUse) as refused:
        load(text)

    assert str(refused.value).startswith(f"{tmp_path / 'mapnode.yaml'}:1: {named}: ")


def test_every_mistake_is_named_at_once(load):
    with pytest.raises(WrongUse, match=r"yaml:1: workers: .*\n.*yaml:2: colour: .*\n.*yaml:3: workers: stands twice"):
        load("workers: 0\ncolour: blue\nworkers: -1")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("seetle_s: 1", "1: seetle_s: unknown key; did you mean settle_s\\? there are: "),
        ("orthanc: {dicomport: 4242}", "1: orthanc.dicomport: unknown key; did you mean dicom_port\\? there are: "),
        (
            "images:\n  a:1: {digset: x}",
            "2: images.a:1.digset: unknown key; did you mean digest\\? there are: digest, ",
        ),
        ("workers: 2\nsettle_s: 1\nworkers: 4", "3: workers: stands twice, first on line 1; keep one"),
        ("orthanc:\n\taet: A", "2: document: no YAML: .*; indent with spaces"),
        ("min_free_mb: 10GB", "1: min_free_mb: has to be a number with a point for decimals and no unit; .* '10GB'"),
        ("settle_s: 0,5", "1: settle_s: has to be a number with a point for decimals and no unit; .* '0,5'"),
        ("settle_s: .inf", "1: settle_s: has to be a finite number"),
        ("workers: yes", "1: workers: has to be a number; what stands there is the truth value true"),
        ("memory_mb: no", "1: memory_mb: has to be a number; what stands there is the truth value false"),
        ("settle_s: -1", "1: settle_s: has to be more than 0.*; what stands there is -1"),
        ("timeouts_s: {ct_leg_tissue: -5}", "1: timeouts_s.ct_leg_tissue: has to be more than 0.*-5"),
        ("research_hours: 19:00", "1: research_hours: .*; write HH:MM-HH:MM"),
        ("research_hours: [19, 6]", "1: research_hours: .*; write HH:MM-HH:MM"),
        ("orthanc:\n  modalities:\n", "2: orthanc.modalities: is empty; give it a value, or take the line out"),
        ("orthanc: {modalities: [{aet: A, host: ''}]}", "1: orthanc.modalities.0.host: is empty; give it a value"),
        ("orthanc: {aet: 'A\\B'}", "1: orthanc.aet: .* is no AE title"),
        ("orthanc: {modalities: [{aet: ' ', host: h}]}", "1: orthanc.modalities.0.aet: ' ' is no AE title"),
        ("[" * 3000, "1: document: no YAML that can be read"),
    ],
)
def test_a_refusal_names_line_key_value_met_and_way_out(load, text, sentence):
    with pytest.raises(WrongUse, match=rf"mapnode\.yaml:{sentence}"):
        load(text)


def test_a_byte_order_mark_and_the_line_ends_of_windows_do_no_harm(load, tmp_path):
    (tmp_path / "mapnode.yaml").write_bytes(b"\xef\xbb\xbfworkers: 2\r\northanc:\r\n  aet: A\r\n")

    settings = load_settings(tmp_path / "mapnode.yaml")

    assert (settings.workers, settings.orthanc.aet) == (2, "A")


@pytest.mark.parametrize("text", ["- a list", "words", "3", "false", "[]"])
def test_a_document_that_is_no_mapping_is_refused(load, text):
    with pytest.raises(WrongUse, match=r"mapnode\.yaml"):
        load(text)


@pytest.mark.parametrize("content", [b"workers: [1", b"a: b: c", b"\tworkers: 1", b"aet: \xff\xfe"])
def test_a_file_that_is_no_yaml_is_refused(tmp_path, content):
    (tmp_path / "mapnode.yaml").write_bytes(content)

    with pytest.raises(WrongUse, match=r"mapnode\.yaml"):
        load_settings(tmp_path / "mapnode.yaml")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WrongUse, match=r"absent\.yaml: document: No such file"):
        load_settings(tmp_path / "absent.yaml")


def test_a_folder_in_place_of_the_file_is_named(tmp_path):
    with pytest.raises(WrongUse, match="directory"):
        load_settings(tmp_path)


def test_settings_do_not_change_after_loading(load):
    with pytest.raises(ValueError, match="frozen"):
        load("").workers = 2


def make_app(name, *outputs) -> App:
    """An app as its manifest says it: kind, forms and whether it is made by default."""
    made = [OutputPart(kind=kind, description="", forms=forms, default=default) for kind, forms, default in outputs]
    manifest = read_manifest(shared_folder("apps") / "ct_body_composition" / "app.yaml")
    node = manifest.mapnode.model_copy(update={"outputs": tuple(made)})
    title = manifest.application.model_copy(update={"title": name})
    return App(Path(name), manifest.model_copy(update={"application": title, "mapnode": node}))


@pytest.fixture
def two_apps(monkeypatch):
    """One app makes SEG in two forms and SR, the other SEG alone."""
    apps = [
        make_app("organs", ("seg", ("binary", "labelmap"), True), ("sr", (), True)),
        make_app("lungs", ("seg", ("binary", "labelmap"), True)),
    ]
    monkeypatch.setattr("mapnode.settings.list_apps", lambda: apps)


@pytest.mark.parametrize(
    ("text", "objects"),
    [
        ("{sr: false}", {"sr": False}),
        ("{seg: labelmap}", {"seg": "labelmap"}),
        ("{seg: true, sr: true}", {"seg": True, "sr": True}),
        ("{}", {}),
    ],
)
def test_objects_that_apps_make_are_taken(two_apps, load, text, objects):
    assert load(f"objects: {text}").objects == objects


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{report_pdf: true}", "objects.report_pdf: no app makes it; organs makes seg, sr; lungs makes seg"),
        ("{report_pdf: false}", "objects.report_pdf: no app makes it; organs makes seg, sr; lungs makes seg"),
        (
            "{seg: fractional}",
            "objects.seg: no app makes it as fractional: organs makes it as binary or labelmap; "
            "lungs makes it as binary or labelmap",
        ),
        ("{sr: pretty}", "objects.sr: no app makes it as pretty: organs makes it as true or false"),
        ("{seg: false}", "objects: organs: sr cannot be made without seg, which they refer to"),
    ],
)
def test_objects_that_no_app_makes_are_refused_with_what_which_app_makes(two_apps, load, tmp_path, text, sentence):
    with pytest.raises(WrongUse) as refused:
        load(f"objects: {text}")

    assert str(refused.value) == f"{tmp_path / 'mapnode.yaml'}: {sentence}"


def test_settings_without_objects_do_not_read_manifests(load, monkeypatch):
    monkeypatch.setattr("mapnode.settings.list_apps", lambda: pytest.fail("manifests were read"))

    assert load("workers: 2").objects == {}


def test_models_lie_relative_to_the_file_and_are_looked_for_at_once(load, tmp_path):
    (tmp_path / "weights").mkdir()
    for name in ("model.ts", "model.yaml"):
        (tmp_path / "weights" / name).write_text(name)

    assert load("models: {ct_body_composition: weights}").models == {"ct_body_composition": tmp_path / "weights"}


@pytest.mark.parametrize(
    ("text", "word"), [("{ct_body_composition: nowhere}", "nowhere"), ("{no_such_app: weights}", "no_such_app")]
)
def test_models_that_are_not_there_or_for_no_app_are_refused(load, tmp_path, text, word):
    (tmp_path / "weights").mkdir()
    for name in ("model.ts", "model.yaml"):
        (tmp_path / "weights" / name).write_text(name)

    with pytest.raises(WrongUse, match=f"models: .*{word}"):
        load(f"models: {text}")


def test_images_are_pinned_by_digest_under_the_name_that_the_engine_has_for_them(load):
    digest = "sha256:" + "a" * 64
    settings = load(f"images:\n  ct:1:\n    digest: {digest}\n    memory: 8Gi\n")

    assert settings.images == {"ct:1": ImageSettings(digest=digest, memory="8Gi")}


@pytest.mark.parametrize("text", ["images: {ct:1: {}}", "images: {ct:1: {digest: latest}}", "images: [ct:1]"])
def test_an_image_without_a_digest_is_refused(load, text):
    with pytest.raises(WrongUse, match="images"):
        load(text)
