"""torch, MONAI and ignite warn of each other when they are first loaded, and MONAI keeps what failed then for good."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import ignite.engine  # noqa: F401
    import monai.engines  # noqa: F401
