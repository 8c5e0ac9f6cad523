"""What rules decide, and which clause it was."""

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapnode.rules import Clause, ClauseOutcome, Range, RuleSet, SeriesFacts, decide

NUMBERS = st.decimals(min_value=-10_000, max_value=10_000, places=3)
WORDS = st.text(alphabet="ABCabc", min_size=1, max_size=4)


def make_facts(own_result=False, calling_aet="CT1", called_aet="MAPNODE", instances=112, **attributes) -> SeriesFacts:
    values = {k: v if isinstance(v, tuple) else (v,) for k, v in attributes.items()}
    return SeriesFacts("1.2.3", "1.2", values, calling_aet, called_aet, instances, own_result)


def make_rules(*clauses, **keys) -> RuleSet:
    return RuleSet.model_validate({"rules": [{"name": "one", "app": "toy", "when": list(clauses), **keys}]})


def outcome(facts: SeriesFacts, **clause) -> ClauseOutcome:
    (decision,) = decide(make_rules(clause), facts)
    return decision.clauses[-1]


def holds(facts: SeriesFacts, **clause) -> bool:
    return outcome(facts, **clause).held


# Operators


@pytest.mark.parametrize(("operand", "held"), [("CT", True), ("ct", False), ("C", False), (" CT ", True), ("", False)])
def test_equals_is_exact_and_blind_to_padding_only(operand, held):
    assert holds(make_facts(Modality="CT"), attribute="Modality", equals=operand) is held


def test_any_of_several_values_is_enough():
    facts = make_facts(ImageType=("ORIGINAL", "PRIMARY", "AXIAL"))
    assert holds(facts, attribute="ImageType", equals="AXIAL")
    assert not holds(facts, attribute="ImageType", equals="LOCALIZER")
    assert holds(facts, attribute="ImageType", regex="^PRIM")


@pytest.mark.parametrize("operator", [{"equals": ""}, {"in": ["A", ""]}, {"regex": "^$"}, {"exists": False}])
def test_absent_counts_as_empty(operator):
    assert holds(make_facts(), attribute="BodyPartExamined", **operator)
    assert not holds(make_facts(BodyPartExamined="LEG"), attribute="BodyPartExamined", **operator)


@pytest.mark.parametrize("operator", [{"equals": "A"}, {"in": ["A"]}, {"regex": "A"}, {"exists": True}])
def test_absent_has_no_value(operator):
    assert outcome(make_facts(), attribute="BodyPartExamined", **operator).met == "(absent)"
    assert not holds(make_facts(), attribute="BodyPartExamined", **operator)


@given(WORDS, st.lists(WORDS, min_size=1, max_size=5))
def test_in_holds_exactly_for_members(value, members):
    assert holds(make_facts(Modality=value), attribute="Modality", **{"in": members}) is (value in members)


@given(WORDS, st.lists(WORDS, min_size=1, max_size=5))
def test_in_is_the_same_as_one_of_several_equals(value, members):
    facts = make_facts(Modality=value)
    assert holds(facts, attribute="Modality", **{"in": members}) is any(
        holds(facts, attribute="Modality", equals=member) for member in members
    )


@given(NUMBERS, NUMBERS, NUMBERS)
def test_range_holds_exactly_between_its_bounds_which_belong_to_it(value, one, other):
    low, high = float(min(one, other)), float(max(one, other))
    facts = make_facts(SliceThickness=str(value))
    assert holds(facts, attribute="SliceThickness", range={"min": low, "max": high}) is (low <= float(value) <= high)
    assert holds(facts, attribute="SliceThickness", range={"min": low}) is (low <= float(value))
    assert holds(facts, attribute="SliceThickness", range={"max": high}) is (float(value) <= high)


@given(NUMBERS)
def test_a_number_equals_itself_however_it_is_written(value):
    facts = make_facts(SliceThickness=f"{value:+.5f}", SeriesNumber="007")
    assert holds(facts, attribute="SliceThickness", equals=float(value))
    assert holds(facts, attribute="SliceThickness", **{"in": [str(value)]})
    assert holds(facts, attribute="SeriesNumber", equals=7)


def test_text_that_looks_like_a_number_is_compared_as_text():
    facts = make_facts(StationName="007", **{"0029,1010": "1.0"})
    assert not holds(facts, attribute="StationName", equals="7")
    assert not holds(facts, attribute="0029,1010", equals="1")
    assert holds(facts, attribute="StationName", equals="007")


@pytest.mark.parametrize("value", ["thick", "", "5 mm", "nan", "inf", "045Y"])
def test_what_is_no_number_is_in_no_range(value):
    assert not holds(make_facts(SliceThickness=value), attribute="SliceThickness", range={"min": -1e9, "max": 1e9})
    assert not holds(make_facts(), attribute="SliceThickness", range={"min": -1e9})


def test_what_is_no_number_equals_no_number():
    assert not holds(make_facts(SliceThickness="thick"), attribute="SliceThickness", equals=5)


def test_numbers_in_text_attributes_may_be_in_a_range():
    assert holds(make_facts(ConvolutionKernel="30"), attribute="ConvolutionKernel", range={"max": 40})


def test_titles_and_count_are_facts():
    facts = make_facts(calling_aet="CT1", called_aet="MAPNODE", instances=112)
    assert holds(facts, fact="calling_aet", **{"in": ["CT1", "CT2"]})
    assert holds(facts, fact="calling_aet", regex="^CT")
    assert not holds(facts, fact="called_aet", equals="mapnode")
    assert holds(facts, fact="instances", equals=112)
    assert holds(facts, fact="instances", range={"min": 112, "max": 112})
    assert not holds(facts, fact="instances", range={"min": 113})


def test_an_unknown_sender_counts_as_empty():
    assert holds(make_facts(calling_aet=""), fact="calling_aet", equals="")
    assert outcome(make_facts(calling_aet=""), fact="calling_aet", equals="CT1").met == "(absent)"


# Decisions


def test_a_rule_matches_if_all_clauses_hold():
    rules = make_rules(
        {"attribute": "Modality", "equals": "CT"},
        {"fact": "instances", "range": {"min": 10}},
        priority="stat",
        parameters={"level": ["L3"]},
    )
    (decision,) = decide(rules, make_facts(Modality="CT"))
    assert (decision.rule, decision.app, decision.matched, decision.priority) == ("one", "toy", True, "stat")
    assert decision.decided_by == "all held"
    assert [(c.held, c.met) for c in decision.clauses] == [(True, "CT"), (True, "112")]


def test_the_first_clause_that_fails_decides_and_later_ones_are_not_asked():
    rules = make_rules(
        {"attribute": "Modality", "equals": "CT"},
        {"attribute": "BodyPartExamined", "in": ["ABDOMEN"]},
        {"fact": "instances", "range": {"min": 999}},
    )
    (decision,) = decide(rules, make_facts(Modality="CT", BodyPartExamined="HEAD"))
    assert not decision.matched
    assert decision.decided_by == decision.clauses[-1].text == 'BodyPartExamined in ["ABDOMEN"]'
    assert [(c.held, c.met) for c in decision.clauses] == [(True, "CT"), (False, "HEAD")]


def test_every_rule_decides_in_the_order_of_the_file():
    rules = RuleSet.model_validate({
        "rules": [
            {"name": name, "app": "toy", "when": [{"attribute": "Modality", "equals": modality}]}
            for name, modality in (("b", "CT"), ("a", "MR"), ("c", "CT"))
        ]
    })
    assert [(d.rule, d.matched) for d in decide(rules, make_facts(Modality="CT"))] == [
        ("b", True),
        ("a", False),
        ("c", True),
    ]
    assert decide(RuleSet(rules=()), make_facts()) == ()


def test_a_decision_survives_json():
    rules = make_rules({"attribute": "Modality", "equals": "CT"}, parameters={"a": [1, {"b": None}]})
    (decision,) = decide(rules, make_facts(Modality="CT"))
    document = json.loads(json.dumps(asdict(decision)))
    assert document["parameters"] == {"a": [1, {"b": None}]}
    assert document["clauses"] == [{"text": 'Modality equals "CT"', "held": True, "met": "CT"}]


def test_a_decision_cannot_change_the_rule():
    rules = make_rules({"attribute": "Modality", "equals": "CT"}, parameters={"a": [1]})
    decide(rules, make_facts())[0].parameters["a"].append(2)
    assert decide(rules, make_facts())[0].parameters == {"a": [1]}


@given(st.lists(st.sampled_from(["CT", "MR", ""]), min_size=1, max_size=4))
def test_a_decision_repeats_itself(values):
    rules = make_rules({"attribute": "Modality", "in": ["CT", ""]})
    facts = make_facts(Modality=tuple(values))
    assert decide(rules, facts) == decide(rules, facts)


# Own results


CATCH_ALL = {"attribute": "Modality", "regex": ""}


@given(st.sampled_from(["CT", "SEG", "SR", ""]), st.sampled_from(["CT1", "MAPNODE", ""]))
def test_own_results_never_match_unless_the_rule_says_so(modality, calling_aet):
    facts = make_facts(own_result=True, Modality=modality, calling_aet=calling_aet)
    (decision,) = decide(make_rules(CATCH_ALL), facts)
    assert not decision.matched
    assert decision.clauses == (
        ClauseOutcome("not written by mapnode itself (own_results: false)", held=False, met="a result of mapnode"),
    )
    assert decide(make_rules(CATCH_ALL, own_results=True), facts)[0].matched


def test_a_rule_for_own_results_still_asks_its_clauses():
    rules = make_rules({"attribute": "Modality", "equals": "SR"}, own_results=True)
    assert not decide(rules, make_facts(own_result=True, Modality="SEG"))[0].matched
    assert decide(rules, make_facts(own_result=False, Modality="SR"))[0].matched


# Values met


@pytest.mark.parametrize(
    ("name", "value", "operator"),
    [
        ("PatientName", "DOE^JANE", {"equals": "DOE^JANE"}),
        ("PatientName", "DOE^JANE", {"regex": "DOE"}),
        ("PatientID", "4711", {"in": ["4711", "4712"]}),
        ("PatientID", "4711", {"equals": "1"}),
        ("PatientBirthDate", "19700101", {"regex": "^1970"}),
        ("AccessionNumber", "4711", {"range": {"min": 4711}}),
        ("0029,1010", "DOE 4711", {"exists": True}),
    ],
)
def test_what_may_lead_to_a_patient_is_compared_but_never_kept(name, value, operator):
    (decision,) = decide(make_rules({"attribute": name, **operator}), make_facts(**{name: value}))
    kept = json.dumps(asdict(decision))
    assert decision.clauses[0].met == "(withheld)"
    for part in ("DOE", "4711", "1970"):
        assert part not in kept


def test_what_a_terminal_would_obey_is_not_kept():
    met = outcome(make_facts(SeriesDescription="a\x1b[31mb\nc"), attribute="SeriesDescription", exists=True).met
    assert met == "a\ufffd[31mb\ufffdc"


def test_long_values_are_cut():
    met = outcome(make_facts(SeriesDescription="a" * 5000), attribute="SeriesDescription", exists=True).met
    assert len(met) == 200
    assert met.endswith("...")


def test_clauses_can_be_built_in_code():
    clause = Clause(attribute="SliceThickness", range=Range(min=1, max=5))
    assert clause.text == "SliceThickness range min 1 max 5"
