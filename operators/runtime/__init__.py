"""What turns an app.py into a process: the SDK's classes with types, the base operator, the runner contract."""
