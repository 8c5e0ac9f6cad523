"""Studies for tests of the intake."""

from tests.builders import make_ct_series


def study_files(tmp_path):
    """A series of two slices, and one of six."""
    return [make_ct_series(tmp_path / seed, slices=slices, uid_seed=seed) for seed, slices in (("b", 2), ("a", 6))]
