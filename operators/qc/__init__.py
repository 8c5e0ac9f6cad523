"""May the numbers be used."""

from operators.qc.check_field_of_view import CheckFieldOfView

__all__ = ["CheckFieldOfView"]
