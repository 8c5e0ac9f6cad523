"""What a rule may say."""

import json

import pytest
from pydantic import ValidationError

from mapnode.rules import Clause, Rule, RuleSet
from mapnode.rules.schema import WITHHELD


def clause(**keys) -> Clause:
    return Clause.model_validate(keys)


def test_a_clause_reads_as_it_was_written():
    assert clause(attribute="Modality", equals="CT").text == 'Modality equals "CT"'
    assert clause(attribute="BodyPartExamined", **{"in": ["ABDOMEN", ""]}).text == 'BodyPartExamined in ["ABDOMEN", ""]'
    assert clause(attribute="SeriesDescription", regex=r"\babdom").text == r"SeriesDescription regex \babdom"
    assert clause(attribute="SliceThickness", range={"min": 0.5, "max": 5}).text == "SliceThickness range min 0.5 max 5"
    assert clause(fact="instances", range={"min": 10}).text == "instances range min 10"
    assert clause(attribute="ContrastBolusAgent", exists=False).text == "ContrastBolusAgent exists false"


@pytest.mark.parametrize("operator", [{"equals": "DOE^JANE"}, {"in": ["DOE^JANE"]}, {"regex": "DOE"}])
def test_what_is_compared_with_a_name_is_withheld(operator):
    text = clause(attribute="PatientName", **operator).text
    assert WITHHELD in text
    assert "DOE" not in text


def test_defaults_are_routine_and_never_own_results():
    rule = Rule.model_validate({"name": "a", "app": "b", "when": [{"attribute": "Modality", "equals": "CT"}]})
    assert (rule.priority, rule.parameters, rule.own_results) == ("routine", {}, False)


def test_a_rule_set_survives_json():
    rule = {
        "name": "a",
        "app": "b",
        "when": [
            {"attribute": "0008,0060", "in": ["CT", "MR"]},
            {"attribute": "SliceThickness", "equals": 5},
            {"fact": "instances", "range": {"min": 10}},
        ],
    }
    rules = RuleSet.model_validate({"rules": [rule]})
    document = json.loads(rules.model_dump_json(by_alias=True, exclude_unset=True))
    assert RuleSet.model_validate(document) == rules


def test_a_rule_set_knows_what_it_asks_for():
    when = [{"attribute": "0008,0060", "equals": "CT"}, {"fact": "called_aet", "equals": "X"}]
    rules = RuleSet.model_validate({"rules": [{"name": "a", "app": "b", "when": when}]})
    assert rules.attributes == {"Modality"}
    assert rules.facts == {"called_aet"}


def test_rules_cannot_be_changed_after_loading():
    one = clause(attribute="Modality", equals="CT")
    with pytest.raises(ValidationError, match="frozen"):
        one.equals = "MR"


WHEN = [{"attribute": "Modality", "equals": "CT"}]


@pytest.mark.parametrize(
    "image", ["ct:1", "registry.local:5000/a/ct:1.2", "sha256:" + "a" * 64, "ct@sha256:" + "a" * 64]
)
def test_a_rule_names_an_image_instead_of_an_app(image):
    rule = Rule.model_validate({"name": "a", "image": image, "when": WHEN})

    assert (rule.app, rule.image, rule.runs) == (None, image, image)


@pytest.mark.parametrize("what", [{}, {"app": "a", "image": "b"}, {"app": None}])
def test_a_rule_names_either_an_app_or_an_image(what):
    with pytest.raises(ValidationError, match="`app:` or `image:`"):
        Rule.model_validate({"name": "a", "when": WHEN, **what})


@pytest.mark.parametrize("image", ["", "ct 1", "ct;rm", "--privileged=x y"])
def test_what_can_be_no_image_is_refused(image):
    with pytest.raises(ValidationError, match="is no image"):
        Rule.model_validate({"name": "a", "image": image, "when": WHEN})
