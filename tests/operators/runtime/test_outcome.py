"""Outcome: each run has a record of its own."""

from operators.runtime.outcome import Outcome


def test_records_do_not_share_their_fields():
    first, second = Outcome(), Outcome()

    first.fields["identity"] = "ab"

    assert second.fields == {}
