"""Podman: told in its own words what Docker is told in others. `make test-podman` runs the tests of MAPs under it."""

from mapnode.containers.podman import config_for_podman, host_for_podman, is_podman

HOST = {
    "read_only": True,
    "tmpfs": {"/tmp": "rw,uid=1000", "/var/holoscan/logs": "rw,uid=1000"},
    "ulimits": [{"name": "core", "soft": 0, "hard": 0}],
}


def test_podman_is_known_by_its_component_and_docker_is_not_podman():
    assert is_podman({"Platform": {"Name": "linux/amd64/debian-12"}, "Components": [{"Name": "Podman Engine"}]})
    assert not is_podman({"Components": [{"Name": "Engine"}, {"Name": "containerd"}]})
    assert not is_podman({})


def test_tmp_alone_can_be_written_what_podman_would_open_is_closed_and_logs_go_to_tmp():
    tmpfs = host_for_podman(HOST)["tmpfs"]
    config = config_for_podman({"environment": {"HOME": "/tmp", "HOLOSCAN_LOGS_PATH": "/var/holoscan/logs"}})

    assert {path: options.split(",")[0] for path, options in tmpfs.items()} == {
        "/tmp": "rw", "/run": "ro", "/var/tmp": "ro"
    }  # fmt: skip
    assert all({"noexec", "nosuid", "nodev"} < set(options.split(",")) for options in tmpfs.values())
    assert not any("uid=" in options for options in tmpfs.values())
    assert config["environment"] == {"HOME": "/tmp", "HOLOSCAN_LOGS_PATH": "/tmp"}


def test_everything_else_stays_and_processes_of_the_user_are_limited_too():
    told = host_for_podman(HOST)

    assert told["read_only"] is True
    assert told["ulimits"][:-1] == HOST["ulimits"]
    assert told["ulimits"][-1]["name"] == "nproc"
