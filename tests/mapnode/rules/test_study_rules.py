"""Study rules, modes and chains: what a rule says of several series, when it is asked, and where a chain ends."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mapnode.rules import Rule, RuleSet, SeriesFacts, decide, decide_study

NATIVE = {"name": "native", "when": [{"attribute": "Modality", "equals": "CT"}]}
PET = {"name": "pet", "when": [{"attribute": "Modality", "equals": "PT"}]}
WHEN = [{"attribute": "Modality", "equals": "CT"}]


def rule(**changed) -> Rule:
    return Rule.model_validate({"name": "pair", "app": "a", "study": {"requires": [NATIVE, PET]}, **changed})


def series(uid: str, modality: str, **changed) -> SeriesFacts:
    values = {"calling_aet": "", "called_aet": "", "instances": 3, "own_result": False, **changed}
    return SeriesFacts(uid, "1.2", {"Modality": (modality,)}, **values)


def test_a_study_with_all_that_is_required_matches_and_gives_what_meets_any_of_it():
    decision, met = decide_study(rule(), [series("1", "CT"), series("2", "MR"), series("3", "PT"), series("4", "CT")])

    assert decision.matched
    assert {facts.series_instance_uid for facts in met} == {"1", "3", "4"}


def test_a_study_that_lacks_a_series_says_which():
    decision, met = decide_study(rule(), [series("1", "CT")])

    assert (decision.matched, met) == (False, ())
    assert decision.decided_by == 'series pet: Modality equals "PT"'
    assert [(c.held, c.met) for c in decision.clauses] == [(True, "1 of 1 series"), (False, "0 of 1 series")]


@given(order=st.permutations([series("1", "CT"), series("2", "PT"), series("3", "CT")]))
def test_the_order_of_series_changes_nothing(order):
    decision, met = decide_study(rule(), order)

    assert decision.matched
    assert {facts.series_instance_uid for facts in met} == {"1", "2", "3"}


def test_all_clauses_of_a_requirement_have_to_hold_for_one_series():
    both = {"name": "both", "when": [*WHEN, {"fact": "instances", "range": {"min": 10}}]}
    study = [series("1", "CT"), series("2", "MR", instances=20)]

    assert not decide_study(rule(study={"requires": [both]}), study)[0].matched


def test_a_result_meets_a_requirement_only_where_the_rule_takes_results():
    study = [series("1", "CT"), series("2", "PT", own_result=True)]

    assert not decide_study(rule(), study)[0].matched
    assert decide_study(rule(own_results=True), study)[0].matched


def test_a_result_that_a_rule_led_to_does_not_meet_its_requirement():
    study = [series("1", "CT"), series("2", "PT", own_result=True, chain=("pair", "other"))]

    assert not decide_study(rule(own_results=True), study)[0].matched


def test_series_rules_are_asked_and_study_rules_and_those_that_are_off_are_not():
    rules = [{"name": f"r_{mode}", "app": "a", "mode": mode, "when": WHEN} for mode in ("live", "shadow", "off")]
    rules.append({"name": "study", "app": "a", "study": {"requires": [NATIVE]}})

    decisions = decide(RuleSet.model_validate({"rules": rules}), series("1", "CT"))

    assert [decision.rule for decision in decisions] == ["r_live", "r_shadow"]


def test_a_rule_in_the_chain_of_a_result_is_not_started_by_it():
    own = RuleSet.model_validate({
        "rules": [
            {"name": name, "app": "a", "own_results": True, "when": WHEN} for name in ("first", "second", "third")
        ]
    })
    result = series("1", "CT", own_result=True, chain=("first", "second"))

    assert [(d.rule, d.matched) for d in decide(own, result)] == [("first", False), ("second", False), ("third", True)]


@pytest.mark.parametrize(
    "changed",
    [
        {"study": None},
        {"when": WHEN},
        {"study": {"requires": []}},
        {"study": {"requires": [{"name": "x", "when": []}]}},
        {"study": {"requires": [NATIVE], "quiet_s": 0}},
        {"mode": "test"},
    ],
)
def test_a_rule_that_means_nothing_is_refused(changed):
    with pytest.raises(ValidationError):
        rule(**changed)


def test_the_attributes_of_requirements_are_read_too():
    assert RuleSet(rules=(rule(),)).attributes == {"Modality"}
