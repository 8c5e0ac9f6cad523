"""The service and the command line: imports operators.core only, never the SDK, torch or an app."""
