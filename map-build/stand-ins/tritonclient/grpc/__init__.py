"""What the SDK imports by name and uses only when it connects to a Triton server."""
