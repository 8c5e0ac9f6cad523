"""Node state: the small file by which commands find a running node."""

STATE_NAME = "node.json"
