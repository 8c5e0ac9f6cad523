"""A worker whose process is a few lines: what the tests of workers share."""

from pathlib import Path

MANIFEST = Path(__file__).parents[3] / "apps" / "ct_body_composition" / "app.yaml"
ENOUGH_S = 120.0
"""Longer than any run here takes; no test waits for it."""

PREAMBLE = """
import json, os, sys, time
runs = 0
def say(**record):
    print(json.dumps(record), flush=True)
def finish(exit_code=0):
    say(exit_code=exit_code)
def result(status="done", **more):
    document = {"schema": "mapnode.result/1", "app": "toy", "version": "1.0.0", "status": status, **more}
    with open(os.path.join(target, "result.json"), "w") as file:
        json.dump(document, file)
"""
LOOP = """
finish()
for line in sys.stdin:
    order = json.loads(line)
    if "signal" in order:
        finish()
        continue
    source, target = order["source"], order["target"]
    runs += 1
"""


def is_gone(pid: int) -> bool:
    """Whether a process ended, be it that nobody asked for its exit code yet."""
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True
