"""Durable jobs: what is to be done, what was done, and why."""
