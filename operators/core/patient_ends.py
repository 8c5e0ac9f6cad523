"""PatientEnds: how an orientation is written, in a manifest for instance, without NumPy, for whoever turns no array."""

CANONICAL = "LPS"
"""Columns run to the patient's left, rows to the back (posterior), slices to the head (superior)."""
AS_STORED = "stored"
"""In place of three letters: however the scanner wrote it."""
END_PAIRS = {"L": "R", "P": "A", "I": "S"}
"""The other end of each axis of the patient."""
