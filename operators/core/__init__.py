"""Typed values, geometry, reading, the runner contract: needs neither monai, holoscan nor torch."""
