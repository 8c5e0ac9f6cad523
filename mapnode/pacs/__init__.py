"""The PACS room: Orthanc as the node's own process, its REST, its events and its change log.

Imports mapnode.errors, mapnode.share and operators.core only.
"""

from mapnode.pacs.change_follower import ChangeFollower, FilePositionStore, FollowState, Poll, Position, PositionStore
from mapnode.pacs.corroboration import SourceCounts
from mapnode.pacs.event_receiver import event_router
from mapnode.pacs.events import ChangedEvent, CommitmentEvent, ConflictEvent, DeletedEvent, EventBatch, InstanceEvent
from mapnode.pacs.gate import Gate, GateState
from mapnode.pacs.orthanc_client import OrthancClient
from mapnode.pacs.orthanc_configuration import Credentials, Modality, OrthancSettings, PluginSettings
from mapnode.pacs.orthanc_elsewhere import OrthancElsewhere
from mapnode.pacs.orthanc_process import OrthancProcess, free_port
from mapnode.pacs.resources import attachment_path
from mapnode.pacs.stated_count import stated_count

__all__ = [
    "ChangeFollower",
    "ChangedEvent",
    "CommitmentEvent",
    "ConflictEvent",
    "Credentials",
    "DeletedEvent",
    "EventBatch",
    "FilePositionStore",
    "FollowState",
    "Gate",
    "GateState",
    "InstanceEvent",
    "Modality",
    "OrthancClient",
    "OrthancElsewhere",
    "OrthancProcess",
    "OrthancSettings",
    "PluginSettings",
    "Poll",
    "Position",
    "PositionStore",
    "SourceCounts",
    "attachment_path",
    "event_router",
    "free_port",
    "stated_count",
]
