"""Rules: which app runs on which series. rules.yaml is data, checked on load, never evaluated as code."""

from mapnode.rules.errors import Problem, RulesError
from mapnode.rules.evaluate import ClauseOutcome, Decision, decide
from mapnode.rules.facts import SeriesFacts, facts_from_headers, wrote_by_node
from mapnode.rules.loading import load_rules
from mapnode.rules.schema import Clause, Priority, Range, Rule, RuleSet

__all__ = [
    "Clause",
    "ClauseOutcome",
    "Decision",
    "Priority",
    "Problem",
    "Range",
    "Rule",
    "RuleSet",
    "RulesError",
    "SeriesFacts",
    "decide",
    "facts_from_headers",
    "load_rules",
    "wrote_by_node",
]
