"""Rules: which app runs on which series. rules.yaml is data, checked on load, never evaluated as code."""

from mapnode.plain_yaml import Problem
from mapnode.rules.errors import RulesError
from mapnode.rules.evaluate import ClauseOutcome, Decision, decide, decide_study
from mapnode.rules.facts import SeriesFacts, facts_from_headers, wrote_by_node
from mapnode.rules.loading import load_rules
from mapnode.rules.schema import Clause, Mode, Priority, Range, Requirement, Rule, RuleSet, StudyPart

__all__ = [
    "Clause",
    "ClauseOutcome",
    "Decision",
    "Mode",
    "Priority",
    "Problem",
    "Range",
    "Requirement",
    "Rule",
    "RuleSet",
    "RulesError",
    "SeriesFacts",
    "StudyPart",
    "decide",
    "decide_study",
    "facts_from_headers",
    "load_rules",
    "wrote_by_node",
]
