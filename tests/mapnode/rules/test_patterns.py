"""Regular expressions that end."""

import re
import time
from importlib import import_module

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mapnode.rules.patterns import MAX_PATTERN, MAX_TEXT, PARTS, check_pattern, pattern_found


@pytest.mark.parametrize(
    "pattern",
    ["(a+)+b", "(a*)*b", "(a|a?)+b", "(a|aa)+b", "(ab|a)*c", "((a{0,9}){0,9}){0,9}b", "(.*a){20}", ".*.*.*.*.*x",
     "a?" * 30 + "b", "(?:aa|a)" * 24, "(?=(a+)+b)", "(?>(a|aa)+b)", "(?:a?b?)*c", r"(\d+\s*)+x"],
)  # fmt: skip
def test_a_pattern_that_could_take_forever_is_refused(pattern):
    with pytest.raises(ValueError, match=r"take forever.*make clauses of its parts"):
        check_pattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["(?i)abdom", "(?i)abdom.*(art|ven)", r"(?i)^abdom.*pv.*(\d+)\s*mm$", "^(?!.*lung)", "(?:abdomen|pelvis)+",
     "[A-Z]+[0-9]*", "(ab)+", "^$", r"\bCT\b", "(?<!low )dose", "(?x) abdom # the belly", "a++b",
     "(?P<part>abdom|thx)?x", ""],
)  # fmt: skip
def test_patterns_of_everyday_are_taken(pattern):
    check_pattern(pattern)


@pytest.mark.parametrize("pattern", [".*.*.*.*x", "[^b]*[^b]*[^b]*[^b]*x", "a?" * 18 + "b", "(?:abdomen|pelvis)+!"])
@pytest.mark.parametrize("text", ["a" * 500, "ab" * 250, "abdomenpelvis" * 50])
def test_the_worst_patterns_that_are_taken_end_in_time(pattern, text):
    check_pattern(pattern)
    started = time.process_time()
    pattern_found(pattern, text)
    assert time.process_time() - started < 2


@given(st.text(alphabet="ab|()*+?{2,}[^]", max_size=24), st.sampled_from(["a", "b", "ab", "aab"]))
def test_whatever_is_taken_ends_in_time(pattern, unit):
    try:
        check_pattern(pattern)
    except ValueError:
        return
    started = time.process_time()
    pattern_found(pattern, unit * MAX_TEXT)
    assert time.process_time() - started < 2


@pytest.mark.parametrize("pattern", ["(", "[a", "[[a]", "*a", "a{99999999999999}", "a(?i)", "(?P<x>a)(?P<x>b)"])
def test_what_does_not_compile_is_refused(pattern):
    with pytest.raises(ValueError, match="is no regular expression"):
        check_pattern(pattern)


@pytest.mark.parametrize("pattern", [r"(a)\1", "(a)?(?(1)b|c)", "(?P<x>a)(?P=x)"])
def test_back_references_are_refused(pattern):
    with pytest.raises(ValueError, match="refers back"):
        check_pattern(pattern)


def test_a_long_pattern_is_refused():
    check_pattern("a" * MAX_PATTERN)
    with pytest.raises(ValueError, match="201 characters"):
        check_pattern("a" * (MAX_PATTERN + 1))


def test_a_pattern_is_found_anywhere_in_the_first_64_characters():
    assert pattern_found("abdom", "CT abdom")
    assert pattern_found("b$", "a" * 63 + "b")
    assert not pattern_found("b", "a" * 64 + "b")


def test_the_parser_of_this_python_still_speaks_the_names_that_are_counted():
    parser = import_module("re._parser")
    met = {str(op) for op, _ in parser.parse("a[bc].(?:d|ef)(g)^h*i*?j*+(?>k)(?=l)(?!m)[^n]")}
    assert met == set(PARTS)


@given(st.text(alphabet="ab", max_size=12))
def test_the_guard_does_not_change_what_is_found(text):
    assert pattern_found("ab+a", text) == (re.search("ab+a", text) is not None)
