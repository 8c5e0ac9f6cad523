"""What a rules file is refused for: file, line, key and fix."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapnode.errors import WrongUse
from mapnode.rules import Problem, RulesError, load_rules

APPS = ("ct_body_composition", "lung", "measure_segmentation")
DOCS = Path(__file__).parents[3] / "docs" / "rules.md"

RULE = """\
rules:
  - name: abdominal
    app: ct_body_composition
    when:
      - {attribute: Modality, equals: CT}
"""


@pytest.fixture
def load(tmp_path):
    def from_text(text, apps=APPS):
        path = tmp_path / "rules.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_rules(path, apps)

    return from_text


def refusal(load, text) -> list[tuple[int, str, str]]:
    with pytest.raises(RulesError) as caught:
        load(text)
    return [(p.line, p.key, p.message) for p in caught.value.problems]


def with_clause(clause: str) -> str:
    return f"{RULE}      - {clause}\n"


# What is taken


def test_the_form_of_the_documentation_loads(load):
    (rule,) = load(RULE).rules
    assert (rule.name, rule.app, rule.priority) == ("abdominal", "ct_body_composition", "routine")
    assert [c.text for c in rule.when] == ['Modality equals "CT"']


def test_apps_are_not_checked_where_nobody_says_which_there_are(load):
    assert load(RULE.replace("ct_body_composition", "anything"), apps=None).rules[0].app == "anything"


def test_no_rules_are_rules_if_the_file_says_so(load):
    assert load("rules: []").rules == ()


def test_parameters_reach_the_rule_with_their_types(load):
    text = RULE.replace(
        "    when:", "    parameters: {level: L3, list: [1, 2.5], on: 'no', flag: true, none: null}\n    when:"
    )
    with pytest.raises(RulesError):
        load(text)  # YAML 1.1 reads the key `on` as true
    parameters = load(text.replace("on:", "'on':")).rules[0].parameters
    assert parameters == {"level": "L3", "list": [1, 2.5], "on": "no", "flag": True, "none": None}


@pytest.mark.parametrize("text", ["off", "'off'", '"off"'])
def test_a_rule_is_switched_off_with_and_without_quotes(load, text):
    # YAML 1.1 reads the word without quotes as false.
    assert load(RULE.replace("    when:", f"    mode: {text}\n    when:")).rules[0].mode == "off"


def test_dates_stay_text(load):
    rules = load(with_clause("{attribute: SeriesDescription, equals: 2024-01-31}"))
    assert rules.rules[0].when[1].equals == "2024-01-31"


def test_a_byte_order_mark_does_no_harm(load):
    assert len(load(b"\xef\xbb\xbf" + RULE.encode()).rules) == 1


def yaml_blocks() -> list[str]:
    return re.findall(r"^```yaml\n(.*?)^```", DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("block", yaml_blocks())
def test_every_snippet_of_the_documentation_loads(load, block):
    clauses = "".join(f"      {line}\n" for line in block.splitlines())
    assert load(block if block.startswith("rules:") else RULE + clauses).rules


def test_the_documentation_shows_every_operator_and_key():
    text = DOCS.read_text(encoding="utf-8")
    assert len(yaml_blocks()) >= 7
    for word in ("equals", "in", "regex", "range", "exists"):
        assert f"### {word}\n" in text
    for key in ("name", "app", "priority", "parameters", "own_results", "when"):
        assert f"| `{key}` |" in text


# What is refused


def test_a_refusal_is_wrong_use_and_names_file_line_key_and_fix(load, tmp_path):
    with pytest.raises(WrongUse) as caught:
        load(with_clause("{attribute: Modalty, equals: CT}"))
    expected = "rules.0.when.1.attribute: 'Modalty' is no DICOM keyword; did you mean Modality?"
    assert str(caught.value) == f"{tmp_path / 'rules.yaml'}:6: {expected}"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("clause", "key", "fix"),
    [
        ("{attribute: Modality, equal: CT}", "equal", "did you mean equals?"),
        ("{calling_aet: {in: [CT1]}}", "calling_aet", "there are: attribute, fact, equals, in"),
        ("{fact: calling_aet_title, equals: CT1}", "fact", "'calling_aet', 'called_aet' or 'instances'"),
        ("{attribute: Modality}", "", "add one of equals, in, regex, range, exists"),
        ("{attribute: Modality, equals: CT, exists: true}", "", "make a clause of each"),
        ("{equals: CT}", "", "`attribute: KEYWORD` or `fact: NAME`"),
        ("{attribute: Modality, fact: instances, equals: CT}", "", "not both"),
        ("CT", "", "has to be a mapping"),
        ("{attribute: 12, equals: CT}", "attribute", "quotes"),
        ("{attribute: Modality, equals: }", "equals", "remove `equals:`"),
        ("{attribute: Modality, equals: [CT]}", "equals", "`in: [A, B]`"),
        ("{attribute: BurnedInAnnotation, equals: NO}", "equals", "put it in quotes"),
        ("{attribute: StationName, equals: 007}", "equals", "put it in quotes"),
        ("{attribute: StationName, in: [A, 7]}", "in", "put it in quotes"),
        ("{fact: calling_aet, equals: 7}", "equals", "put it in quotes"),
        ("{attribute: SliceThickness, equals: 5 mm}", "equals", "without unit"),
        ("{fact: instances, equals: many}", "equals", "without unit"),
        ("{attribute: Modality, in: CT}", "in", "has to be a list"),
        ("{attribute: Modality, in: []}", "in", "name at least one"),
        ("{attribute: Modality, in: [YES]}", "in.0", "put it in quotes"),
        ("{attribute: Modality, in: [CT, ~]}", "in.1", 'write ""'),
        ("{attribute: Modality, regex: 5}", "regex", "put it in quotes"),
        ("{attribute: Modality, regex: '('}", "regex", "is no regular expression"),
        ("{attribute: Modality, regex: '(a+)+b'}", "regex", "take forever"),
        ("{attribute: Modality, regex: '(a)\\1'}", "regex", "refers back"),
        ("{attribute: SliceThickness, range: 5}", "range", "has to be a mapping"),
        ("{attribute: SliceThickness, range: [1, 5]}", "range", "has to be a mapping"),
        ("{attribute: SliceThickness, range: {}}", "range", "has no bound"),
        ("{attribute: SliceThickness, range: {min: 5, max: 1}}", "range", "swap them"),
        ("{attribute: SliceThickness, range: {from: 5}}", "range.from", "there are: min, max"),
        ("{attribute: SliceThickness, range: {min: '5'}}", "range.min", "has to be a number"),
        ("{attribute: SliceThickness, range: {min: true}}", "range.min", "has to be a number"),
        ("{attribute: SliceThickness, range: {max: .inf}}", "range.max", "finite"),
        ("{attribute: SliceThickness, range: {min: .nan}}", "range.min", "finite"),
        ("{attribute: SliceThickness, range: }", "range", "remove `range:`"),
        ("{attribute: PatientAge, range: {min: 18}}", "range", "use regex"),
        ("{attribute: Modality, exists: 'true'}", "exists", "without quotes"),
        ("{attribute: Modality, exists: 1}", "exists", "without quotes"),
        ("{attribute: RequestAttributesSequence, equals: A}", "equals", "use `exists: true`"),
        ("{fact: instances, regex: '1'}", "regex", "use equals, in, range"),
        ("{fact: calling_aet, range: {min: 1}}", "range", "use equals, in, regex"),
        ("{fact: called_aet, exists: true}", "exists", "use equals, in, regex"),
        ("{attribute: TransferSyntaxUID, exists: true}", "attribute", "calling_aet"),
        ("{attribute: PixelData, exists: true}", "attribute", "before Pixel Data"),
    ],
)  # fmt: skip
def test_a_wrong_clause_is_refused_with_its_line_key_and_fix(load, clause, key, fix):
    ((line, met_key, message),) = refusal(load, with_clause(clause))
    assert (line, met_key) == (6, f"rules.0.when.1.{key}".rstrip("."))
    assert fix in message


@pytest.mark.parametrize(
    ("old", "new", "line", "key", "fix"),
    [
        ("name: abdominal", "name: Abdominal CT", 2, "name", "lower case"),
        ("name: abdominal", "name: 5", 2, "name", "has to be text"),
        ("app: ct_body_composition", "app: ct_body", 3, "app", "there are: ct_body_composition, lung"),
        ("name: abdominal", "heading: abdominal", 2, "name", "is missing; add it"),
        ("    when:", "    priority: urgent\n    when:", 4, "priority", "'stat', 'routine' or 'research'"),
        ("    when:", "    own_results: 'no'\n    when:", 4, "own_results", "true or false"),
        ("    when:", "    parameters: [a]\n    when:", 4, "parameters", "mapping"),
        ("    when:", "    parameters: {a: .nan}\n    when:", 4, "parameters", "JSON"),
        ("    when:", "    parameters: {a: {1: b}}\n    when:", 4, "parameters", "JSON"),
        ("    when:", "    wen:", 4, "wen", "did you mean when?"),
        ("    when:\n      - {attribute: Modality, equals: CT}", "    when: []", 4, "when", "name at least one"),
    ],
)  # fmt: skip
def test_a_wrong_rule_is_refused_with_its_line_key_and_fix(load, old, new, line, key, fix):
    problems = refusal(load, RULE.replace(old, new))
    assert any(p[:2] == (line, f"rules.0.{key}") and fix in p[2] for p in problems), problems


def test_a_line_is_that_of_the_key_also_in_block_style(load):
    text = with_clause("attribute: SliceThickness\n        range:\n          min: 1\n          max: thick")
    ((line, key, _),) = refusal(load, text)
    assert (line, key) == (9, "rules.0.when.1.range.max")


def test_a_rule_that_says_not_what_runs_is_refused(load):
    ((line, key, message),) = refusal(load, RULE.replace("    app: ct_body_composition\n", ""))

    assert (line, key) == (2, "rules.0")
    assert "`app:` or `image:`" in message


def test_all_problems_are_named_at_once_in_the_order_of_lines(load):
    text = with_clause("{attribute: Modalty, equals: CT}\n      - {attribute: Rows, exists: 3}").replace(
        "abdominal", "Abdominal"
    )
    assert [problem[:2] for problem in refusal(load, text)] == [
        (2, "rules.0.name"),
        (6, "rules.0.when.1.attribute"),
        (7, "rules.0.when.2.exists"),
    ]


def test_a_list_of_wrong_clauses_only_is_not_called_empty(load):
    ((_, key, _),) = refusal(load, RULE.replace("Modality", "Modalty"))
    assert key == "rules.0.when.0.attribute"


def test_two_rules_of_one_name_are_refused_whatever_else_is_wrong(load):
    text = RULE + RULE.replace("rules:\n", "").replace("Modality", "Modalty")
    assert [problem[:2] for problem in refusal(load, text)] == [(6, "rules.1.name"), (9, "rules.1.when.0.attribute")]


def test_a_key_that_stands_twice_is_refused(load):
    ((line, key, message),) = refusal(load, RULE.replace("    when:", "    app: lung\n    when:"))
    assert (line, key) == (4, "rules.0.app")
    assert "first on line 3" in message


@pytest.mark.parametrize(
    ("text", "line", "fix"),
    [
        ("rules:\n\t- name: a\n", 2, "indent with spaces"),
        ("rules:\n  - name: a\n   app: b\n", 3, "check indentation"),
        ("rules: [\n", 2, "check indentation"),
        ("rules:\n  - {name: 'a\n", 3, "quotes"),
        ("", 1, "rules: []"),
        ("# only a comment\n", 1, "rules: []"),
        ("[]", 1, "has to be a mapping"),
        ("rules: []\n---\nrules: []\n", 2, "single document"),
        ("rules: []\nother: \x07\n", 2, "remove that character"),
        ("[" * 5000, 1, "RecursionError"),
        (b"rules: []\n# \xff\n", 2, "save the file as UTF-8"),
        ("rules: &a []\nmore: *a\n", 2, "write it out"),
        ("rules: []\n? [a]\n: b\n", 2, "check indentation"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_plain_yaml_is_refused_with_its_line(load, text, line, fix):
    ((met, key, message),) = refusal(load, text)
    assert (met, key) == (line, "document")
    assert fix in message


def test_rules_that_are_no_list_are_refused(load):
    assert refusal(load, "rules: {}")[0][1:] == ("rules", "has to be a list, even of one: [A] or a line `- A` each")
    assert "there are: rules" in refusal(load, "rules: []\nrule: 1\n")[0][2]


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(RulesError, match=r"none\.yaml: document: No such file or directory; give the path of a file"):
        load_rules(tmp_path / "none.yaml")
    with pytest.raises(RulesError, match="Is a directory"):
        load_rules(tmp_path)


# Nothing in the file is ever run


@pytest.mark.parametrize(
    "value",
    [
        "!!python/object/apply:os.system ['touch {mark}']",
        "!!python/name:os.system",
        "!!python/module:os",
        "!!python/object/new:subprocess.Popen [[touch, '{mark}']]",
        "!!set {a}",
        "!!binary aGVsbG8=",
        "!custom x",
    ],
)
@pytest.mark.parametrize("place", ["    parameters: {a: %s }\n    when:", "    priority: %s\n    when:"])
def test_tags_that_would_make_objects_are_refused_and_nothing_runs(load, tmp_path, value, place):
    mark = tmp_path / "mark"
    text = RULE.replace("    when:", place % value.replace("{mark}", str(mark)))
    ((line, _, message),) = refusal(load, text)
    assert line == 4
    assert "the file is plain data" in message
    assert not mark.exists()


@pytest.mark.parametrize(
    "code", ["__import__('os').system('id')", "{{ 7*7 }}", "${HOME}", "$(id)", "%s", "{0.__class__}"]
)
def test_what_looks_like_code_is_text(load, code):
    (rule,) = load(with_clause('{attribute: SeriesDescription, equals: "CODE"}').replace("CODE", code)).rules
    assert rule.when[1].equals == code


def test_nothing_in_the_room_evaluates_code():
    room = Path(__file__).parents[3] / "mapnode" / "rules"
    for path in room.glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\b(eval|exec|compile|__import__)\(", text.replace("re.compile(", "")), path


@given(st.text(max_size=200))
def test_any_text_is_loaded_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    found = rules_or_problems(path)
    # No random text is a rule: it is an empty set of rules, or there is a problem to show.
    assert all(isinstance(one, Problem) for one in found)


def rules_or_problems(path):
    try:
        return load_rules(path).rules
    except RulesError as error:
        return error.problems


def test_rules_need_no_sdk():
    code = "import sys, mapnode.rules; assert not {'torch', 'monai', 'holoscan'} & set(sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
