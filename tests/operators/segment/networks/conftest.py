"""Loads MONAI before warnings are errors: ignite, which its own workflow runs on, is looked for only once."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import monai.engines  # noqa: F401
