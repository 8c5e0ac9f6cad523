"""Fuzzing, short: mutated series end as volumes that are what their files say, as findings, or as a refusal."""

import random
import signal
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from operators.core.header import keep_values_out_of_warnings
from tests.fuzz import case as case_module
from tests.fuzz.case import Case, Hang, edited, fast_folder, is_harmless, make_case, run_case, time_limit
from tests.fuzz.corpus import Entry, corpus
from tests.fuzz.mutations import EDITS, HARMLESS, cut_at_boundary, mutate_bytes

SEED = 20250102
CASES = 1000
EXAMPLES = 150


@pytest.fixture(scope="module", autouse=True)
def lenient_values():
    """As in every process of mapnode."""
    from pydicom.config import settings as pydicom_settings

    before = pydicom_settings.reading_validation_mode
    keep_values_out_of_warnings()
    yield
    pydicom_settings.reading_validation_mode = before


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One for all cases: each removes the files of the one before."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory(prefix="mapnode_fuzz_", dir=fast_folder()) as made:
        yield Path(made)


def one_of(entry: Entry, name: str, change, *, harmless: bool = False) -> Case:
    """The series with a change of its first file."""
    first = sorted(entry.files)[0]
    files = entry.files | {first: change(entry.files[first])}
    return Case(f"{entry.name}: {name}", entry, files, 1, harmless)


def all_of(entry: Entry, name: str, change, *, harmless: bool = False) -> Case:
    """The series with the same change of all files."""
    files = {file: change(data) for file, data in entry.files.items()}
    return Case(f"{entry.name}: {name}", entry, files, len(files), harmless)


@pytest.mark.parametrize("entry", corpus(), ids=lambda entry: entry.name)
def test_series_without_mutations_are_what_their_files_say(entry, folder):
    outcome = run_case(Case(entry.name, entry, entry.files, 0, harmless=True), folder)

    assert outcome.problems == []
    assert outcome.kind == ("usable" if entry.usable else "findings")


def test_mutated_series_neither_crash_nor_make_wrong_volumes(folder):
    cases = (make_case(SEED, number) for number in range(CASES))
    outcomes = [(case.name, run_case(case, folder)) for case in cases]

    assert [(name, outcome.problems) for name, outcome in outcomes if outcome.problems] == []
    kinds = {outcome.kind for _, outcome in outcomes}
    assert {"usable", "findings", "refused", "undecodable"} <= kinds, "the mutations do not reach everything"


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    entry=st.sampled_from(corpus()),
    names=st.lists(st.sampled_from(sorted(EDITS)), min_size=1, max_size=4),
    seed=st.integers(0, 2**16),
    everywhere=st.booleans(),
)
def test_hostile_data_sets_neither_crash_nor_make_wrong_volumes(folder, entry, names, seed, everywhere):
    make = all_of if everywhere else one_of

    case = make(entry, "+".join(names), lambda data: edited(data, names, seed), harmless=is_harmless(names))

    assert run_case(case, folder).problems == []


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entry=st.sampled_from(corpus()), seed=st.integers(0, 2**16), boundary=st.booleans())
def test_cut_files_neither_crash_nor_make_wrong_volumes(folder, entry, seed, boundary):
    def cut(data: bytes) -> bytes:
        return cut_at_boundary(data, seed) if boundary else data[: seed % len(data)]

    assert run_case(one_of(entry, "cut", cut), folder).problems == []


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(entry=st.sampled_from(corpus()), random_=st.randoms(use_true_random=False))
def test_changed_bytes_neither_crash_nor_make_wrong_volumes(folder, entry, random_):
    case = one_of(entry, "bytes", lambda data: mutate_bytes(data, random_))

    assert run_case(case, folder).problems == []


@pytest.mark.parametrize("name", HARMLESS)
@pytest.mark.parametrize("entry", corpus(), ids=lambda entry: entry.name)
def test_what_means_nothing_to_a_volume_leaves_it_as_it_is(entry, name, folder):
    case = all_of(entry, name, lambda data: edited(data, [name], 5), harmless=is_harmless([name]))

    assert run_case(case, folder).problems == []


def test_a_case_is_made_again_from_its_numbers():
    assert [make_case(3, n).files for n in range(20)] == [make_case(3, n).files for n in range(20)]


def test_mutated_files_differ_from_their_corpus():
    rng = random.Random(1)
    data = next(iter(corpus()[0].files.values()))

    changed = sum(mutate_bytes(data, rng) != data for _ in range(100))

    assert changed > 80


@pytest.mark.parametrize(("limit", "busy"), [("LONGEST_S", True), ("STUCK_S", False)])
def test_what_works_for_too_long_and_what_waits_for_too_long_is_a_hang(monkeypatch, limit, busy):
    def go_on_for_ever():
        while True:
            if not busy:
                time.sleep(0.01)

    monkeypatch.setattr(case_module, limit, 0.05)
    before = signal.getsignal(signal.SIGALRM)

    with pytest.raises(Hang), time_limit():
        go_on_for_ever()

    assert signal.getsignal(signal.SIGALRM) is before
