"""What the tests of the node share: its records, in an empty SQLite file."""

import pytest

from mapnode.records import Records


@pytest.fixture
def records(tmp_path):
    records = Records(f"sqlite:///{tmp_path / 'records.sqlite'}")
    yield records
    records.close()
