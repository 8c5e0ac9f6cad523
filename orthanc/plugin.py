"""Orthanc plugin: tells the node of what is new, changed, deleted, or came again with other pixels.

Runs inside Orthanc (PythonScript), in the Python that Orthanc was built with: standard library and Orthanc's own module
only. It is the fast path and nothing more: the node reads Orthanc's change log anyway, so an event may get lost, and
nothing here may ever hold up a C-STORE. Callbacks take note and return; threads do the work. What came again is the one
exception: it stands nowhere else, so it is on disk before its sender is told of success.

What the callbacks see (measured on 1.10.1): OnChange is called outside of C-STORE, and never for what came again. It
tells of deletions, which Orthanc's change log does not. OnStored is called before C-STORE answers, for what came again,
too. For such an instance it carries the metadata of the stored one: a reception date that is not now.

Objects come in through a gate (mapnode_plugin/gate.py) that the node closes, and a disk that fills up does. gate.lua
beside this file is its end for HTTP.

Settings: section "Mapnode" of Orthanc's configuration, with EventUrl (http), Token, IntakeFreeBytes, ResultsFreeBytes.
Without it the plugin is idle.
The parts are in mapnode_plugin/: Orthanc puts the script's own folder on Python's path.
"""

from __future__ import annotations

import json
from typing import Any

from mapnode_plugin.comparer import Comparer, ResendDetector
from mapnode_plugin.doors import Doors
from mapnode_plugin.gate import DiskWatch, Gate, Limits
from mapnode_plugin.memory import MemoryReturn
from mapnode_plugin.outbox import Outbox, make_event
from mapnode_plugin.replacements import Replacements
from mapnode_plugin.sender import Receiver, Sender

import orthanc  # type: ignore[import-not-found, unused-ignore]  # Orthanc's own module, inside Orthanc


class Plugin:
    """Connects Orthanc's callbacks with the threads.

    Args:
        api: Orthanc's module.
        configuration: Orthanc's configuration, with the node's section.
    """

    def __init__(self, api: Any, configuration: dict[str, Any]) -> None:  # noqa: ANN401 - Orthanc's module is untyped
        section = configuration["Mapnode"]
        self._api = api
        self.outbox = Outbox()
        self.sender = Sender(api, self.outbox, Receiver(section["EventUrl"], section["Token"]))
        self.comparer = Comparer(api, self.outbox, Replacements(configuration["StorageDirectory"]))
        limits = Limits(section["IntakeFreeBytes"], section["ResultsFreeBytes"])
        gate = Gate(configuration["StorageDirectory"], limits, api.LogWarning)
        self.disk_watch = DiskWatch(gate)
        self.memory_return = MemoryReturn()
        self._doors = Doors(api, gate, section["Token"])
        self._resends = ResendDetector()
        self._origins = {
            value: name.lower().removesuffix("_protocol").removesuffix("_api")
            for name, value in vars(api.InstanceOrigin).items()
            if name.isupper()
        }

        kinds = api.ChangeType
        self._updates = {kinds.UPDATED_ATTACHMENT: "attachment", kinds.UPDATED_METADATA: "metadata"}
        self._levels = {value: name.lower() for name, value in vars(api.ResourceType).items() if name.isupper()}

    def register(self) -> None:
        """Ask Orthanc for its callbacks."""
        self._api.RegisterOnChangeCallback(self.on_change)
        self._api.RegisterOnStoredInstanceCallback(self.on_stored)
        self._doors.register()

    def on_change(self, change: int, level: int, resource_id: str) -> None:
        """Orthanc's OnChange: off the way of C-STORE."""
        kinds = self._api.ChangeType
        if change == kinds.NEW_INSTANCE:
            self.outbox.add(make_event("instance", resource_id))
        elif change == kinds.DELETED:
            self.outbox.add(make_event("deleted", resource_id, level=self._levels[level]))
        elif change == kinds.JOB_SUBMITTED:
            self.outbox.add(make_event("job", resource_id))
        elif change in self._updates:
            self.outbox.add(make_event("changed", resource_id, level=self._levels[level], what=self._updates[change]))
        elif change == kinds.ORTHANC_STARTED:
            self.outbox.add(make_event("started", ""))
            for thread in (self.sender, self.comparer, self.disk_watch, self.memory_return):
                thread.start()
        elif change == kinds.ORTHANC_STOPPED:
            for thread in (self.memory_return, self.disk_watch, self.comparer, self.sender):
                thread.stop()

    def on_stored(self, instance: Any, instance_id: str) -> None:  # noqa: ANN401 - Orthanc's own object
        """Orthanc's OnStoredInstance: C-STORE answers after this. What is new costs some microseconds."""
        if not self._resends.came_again(instance_id, instance.GetInstanceMetadata("ReceptionDate")):
            return
        self.comparer.add(
            instance_id,
            instance.GetInstanceData(),
            origin=self._origins.get(instance.GetInstanceOrigin(), "unknown"),
            calling_aet=instance.GetInstanceRemoteAet(),
        )


def start(api: Any) -> Plugin | None:  # noqa: ANN401 - Orthanc's module is untyped
    """Start the plugin, if Orthanc's configuration has a section for it."""
    configuration = json.loads(api.GetConfiguration())
    if "Mapnode" not in configuration:
        api.LogWarning('mapnode: no section "Mapnode" in the configuration, no events')
        return None
    plugin = Plugin(api, configuration)
    plugin.register()
    return plugin


PLUGIN = start(orthanc)
