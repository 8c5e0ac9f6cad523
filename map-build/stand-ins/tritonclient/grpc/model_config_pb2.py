"""The two names that the SDK takes from here, for the annotations and bodies of functions about Triton models."""

DataType = None
ModelConfig = None
