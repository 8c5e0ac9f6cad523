"""Names of images."""

import pytest

from mapnode.errors import WrongUse
from mapnode.package.tag import full_tag


@pytest.mark.parametrize(
    ("given", "full"),
    [
        ("ct:1", "ct:1"),
        ("ct", "ct:latest"),
        ("registry:5000/site/ct", "registry:5000/site/ct:latest"),
        ("Registry.org/site/ct_a-b.c:1.0_RC-1", "Registry.org/site/ct_a-b.c:1.0_RC-1"),
    ],
)
def test_a_name_has_a_tag(given, full):
    assert full_tag(given) == full


@pytest.mark.parametrize(
    "name", ["", "CT:1", "my ct:1", "ct:", "ct:1:2", "ct@sha256:ab", "-ct", "ct:.1", "ct/", "ct:1\n"]
)
def test_what_engines_would_not_take_is_wrong_use(name):
    with pytest.raises(WrongUse, match="cannot be the name of an image"):
        full_tag(name)
