"""From rows to events: who reads new rows, the log that they go to, and how it is followed.

Tail       what every server runs: it follows the log, and takes part in the relay's election
Relay      turns new and revised rows into events; one for each database
EventLog   the events, in the schema `alphapulse`; MemoryLog where nothing can be written
"""

from alphapulse_nb.relay.log import Bounds, EventLog, MemoryLog
from alphapulse_nb.relay.relay import Relay
from alphapulse_nb.relay.tail import Tail

__all__ = ["Bounds", "EventLog", "MemoryLog", "Relay", "Tail"]
