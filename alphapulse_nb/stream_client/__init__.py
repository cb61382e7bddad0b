"""The event stream for notebooks and scripts."""

from alphapulse_nb.stream_client.client import StreamClient
from alphapulse_nb.stream_client.status import Gap, HandlerStatus, State, Status

__all__ = ["Gap", "HandlerStatus", "State", "Status", "StreamClient"]
