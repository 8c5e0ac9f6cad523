"""mapnode rules: check and explain, as users and scripts meet them."""

import json

import pytest
from typer.testing import CliRunner

from mapnode.cli.rules import rules_app
from mapnode.errors import WrongUse
from tests.builders import make_ct_series

RULES = """\
rules:
  - name: abdominal
    app: ct_body_composition
    when:
      - {attribute: Modality, equals: CT}
      - {attribute: PatientName, exists: true}
      - {fact: instances, range: {min: 10}}
  - name: from_ct1
    app: ct_body_composition
    priority: research
    when:
      - {fact: calling_aet, equals: CT1}
"""


def rules(*arguments):
    return CliRunner().invoke(rules_app, list(map(str, arguments)))


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    make_ct_series(folder / "long", slices=12, uid_seed="long")

    def rename(dataset, _):
        dataset.SeriesDescription = "short\x07"
        dataset.PatientName = "DOE^JANE"

    make_ct_series(folder / "short", slices=3, uid_seed="short", edit=rename)
    return folder


@pytest.mark.parametrize("command", ["check", "explain"])
def test_every_command_explains_itself_with_an_example(command):
    done = rules(command, "--help")
    assert done.exit_code == 0
    assert "Example: mapnode rules" in done.stdout
    assert "--json" in done.stdout


def test_check_says_what_the_rules_are(file):
    done = rules("check", file)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "2 rules, no problem" in done.stdout
    assert "abdominal -> ct_body_composition (routine), 3 clauses" in done.stdout


def test_check_gives_json_alone(file):
    document = json.loads(rules("check", file, "--json").stdout)
    assert (document["valid"], document["problems"]) == (True, [])
    assert [rule["name"] for rule in document["rules"]] == ["abdominal", "from_ct1"]
    assert document["rules"][1]["clauses"] == ['calling_aet equals "CT1"']


def test_check_names_every_problem_on_a_line_and_exits_with_2(file):
    file.write_text(RULES.replace("Modality", "Modalty").replace("research", "low").replace("from_ct1", "abdominal"))
    done = rules("check", file)
    lines = done.stderr.splitlines()
    assert done.exit_code == 2
    assert [line.split(": ")[0] for line in lines] == [f"{file}:5", f"{file}:8", f"{file}:10"]
    assert lines[0].endswith("rules.0.when.0.attribute: 'Modalty' is no DICOM keyword; did you mean Modality?")
    assert done.stdout == ""


def test_check_gives_problems_as_json_with_the_same_exit_code(file):
    file.write_text(RULES.replace("app: ct_body_composition", "app: ct_bodycomposition", 1))
    done = rules("check", file, "--json")
    document = json.loads(done.stdout)
    assert (done.exit_code, document["valid"]) == (2, False)
    (problem,) = document["problems"]
    assert (problem["line"], problem["key"]) == (3, "rules.0.app")
    assert "ct_body_composition" in problem["message"]


IMAGE_RULES = """\
rules:
  - name: foreign
    image: ct:1
    when: [{attribute: Modality, equals: CT}]
"""


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "settings.yaml"
    path.write_text(f"images:\n  ct:1:\n    digest: sha256:{'a' * 64}\n")
    return path


@pytest.mark.parametrize("image", ["ct:1", f"sha256:{'a' * 64}"])
def test_check_takes_an_image_that_the_settings_allow(file, config, image):
    file.write_text(IMAGE_RULES.replace("ct:1", image))
    assert rules("check", file, "--config", config).exit_code == 0


@pytest.mark.parametrize("image", ["ct:2", f"sha256:{'b' * 64}", f"ct:1@sha256:{'b' * 64}"])
def test_check_refuses_an_image_that_the_settings_do_not_allow_with_the_way_out(file, config, image):
    file.write_text(IMAGE_RULES.replace("ct:1", image))
    done = rules("check", file, "--config", config)
    assert done.exit_code == 2
    assert done.stderr.startswith(
        f"{file}:3: rules.0.image: the image {image} is not on the list of those that may run"
    )
    assert "(ct:1); add it with its digest to images: in mapnode.yaml" in done.stderr
    document = json.loads(rules("check", file, "--config", config, "--json").stdout)
    assert [(problem["line"], problem["key"]) for problem in document["problems"]] == [(3, "rules.0.image")]


def test_check_leaves_the_image_of_a_rule_that_is_off(file, config):
    file.write_text(IMAGE_RULES.replace("ct:1", 'ct:2\n    mode: "off"'))
    assert rules("check", file, "--config", config).exit_code == 0


def test_check_reads_the_settings_of_the_folder_that_it_is_called_in(file, config, monkeypatch):
    file.write_text(IMAGE_RULES)
    monkeypatch.chdir(file.parent)
    assert "(empty)" in rules("check", file).stderr
    config.rename("mapnode.yaml")
    assert rules("check", file).exit_code == 0


def test_check_refuses_a_file_that_is_not_there(tmp_path):
    done = rules("check", tmp_path / "none.yaml")
    assert done.exit_code == 2
    assert "No such file" in done.stderr


def test_explain_names_for_every_series_and_rule_what_decided(file, study):
    done = rules("explain", file, study)
    assert done.exit_code == 0
    assert "12 instances\n  abdominal -> ct_body_composition (routine): matched, all 3 clauses held" in done.stdout
    assert "not matched: instances range min 10; met: 3" in done.stdout
    assert 'not matched: calling_aet equals "CT1"; met: (absent)' in done.stdout
    assert "give --calling-aet" in done.stderr


def test_explain_takes_the_titles_that_the_study_would_come_with(file, study):
    entries = json.loads(rules("explain", file, study, "--calling-aet", "CT1", "--json").stdout)
    assert [entry["decisions"][1]["matched"] for entry in entries] == [True, True]


def test_explain_gives_decisions_as_json(file, study):
    done = rules("explain", file, study, "--json")
    by_count = {entry["instances"]: entry for entry in json.loads(done.stdout)}
    (abdominal, from_ct1) = by_count[3]["decisions"]
    assert (abdominal["matched"], abdominal["decided_by"]) == (False, "instances range min 10")
    assert abdominal["clauses"][1] == {"text": "PatientName exists true", "held": True, "met": "(withheld)"}
    assert from_ct1["priority"] == "research"
    assert not by_count[12]["own_result"]


STUDY_RULES = """\
rules:
  - name: pair
    app: ct_body_composition
    study:
      requires:
        - {name: long, when: [{fact: instances, range: {min: 10}}]}
        - {name: short, when: [{fact: instances, range: {max: %d}}]}
"""


@pytest.fixture(scope="module")
def one_study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one_study")

    def join(dataset, _):
        dataset.StudyInstanceUID = "1.2.3"

    make_ct_series(folder / "long", slices=12, uid_seed="long", edit=join)
    make_ct_series(folder / "short", slices=3, uid_seed="short", edit=join)
    return folder


def test_explain_says_what_study_rules_make_of_all_series_together(file, one_study):
    file.write_text(STUDY_RULES % 3)
    *series, whole = json.loads(rules("explain", file, one_study, "--json").stdout)

    (decision,) = whole["decisions"]
    assert [entry["decisions"] for entry in series] == [[], []]
    assert (whole["series_instance_uid"], whole["instances"]) == (None, 15)
    assert (decision["rule"], decision["matched"]) == ("pair", True)


def test_explain_names_the_series_that_a_study_lacks(file, one_study):
    file.write_text(STUDY_RULES % 2)

    done = rules("explain", file, one_study)

    assert "study of 2 series, 15 instances" in done.stdout
    assert "pair -> ct_body_composition (routine): not matched: series short: instances range max 2" in done.stdout
    assert "met: 0 of 2 series" in done.stdout


def test_explain_prints_no_name_and_nothing_that_a_terminal_would_obey(file, study):
    done = rules("explain", file, study)
    assert "DOE" not in done.stdout + done.stderr
    assert "DOE" not in rules("explain", file, study, "--json").stdout
    assert "\x07" not in done.stdout


def test_explain_names_files_that_are_no_dicom(file, study, tmp_path):
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "notes.txt").write_text("hello")
    for path in (study / "long").iterdir():
        (tmp_path / "study" / path.name).write_bytes(path.read_bytes())
    done = rules("explain", file, tmp_path / "study")
    assert done.exit_code == 0
    assert "skipped notes.txt" in done.stderr


def test_explain_refuses_a_folder_without_dicom(file, tmp_path):
    (tmp_path / "empty").mkdir()
    done = rules("explain", file, tmp_path / "empty", "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (3, [])
    assert "refused" in done.stderr


def test_explain_refuses_a_folder_that_is_not_there(file, tmp_path):
    assert isinstance(rules("explain", file, tmp_path / "none").exception, WrongUse)


def test_explain_refuses_wrong_rules_before_it_reads_anything(file, study):
    file.write_text("rules: {}")
    done = rules("explain", file, study)
    assert (done.exit_code, done.stdout) == (2, "")
    assert f"{file}:1: rules: has to be a list" in done.stderr


def test_the_localizer_of_a_real_study_is_left_and_its_volume_taken(file, shared_data):
    entries = json.loads(rules("explain", file, shared_data / "ct_study_philips_phantom", "--json").stdout)
    matched = {entry["instances"]: entry["decisions"][0]["matched"] for entry in entries}
    assert len(entries) >= 2
    assert any(matched.values())
    assert not all(matched.values())
