"""What the tests of the intake do: let a series settle, and look at the jobs."""

IS_CT = {"attribute": "Modality", "equals": "CT"}
IS_MR = {"attribute": "Modality", "equals": "MR"}
ANY = {"attribute": "SOPInstanceUID", "exists": True}
PAIR = {"requires": [{"name": "few", "when": [{"fact": "instances", "range": {"max": 3}}, IS_CT]},
                     {"name": "many", "when": [{"fact": "instances", "range": {"min": 4}}, IS_CT]}]}  # fmt: skip


def settle(node, clock, seconds=0.5) -> None:
    clock.now += seconds
    node.intake.decide_settled()


def states(records) -> list[str]:
    return [str(job.state) for job in reversed(records.jobs.newest())]


def all_jobs(records):
    return list(reversed(records.jobs.newest()))
