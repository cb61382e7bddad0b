"""What people can do about alerts and notifications; see `action`."""

from __future__ import annotations

from typing import Final

from alphapulse_nb.actions import channels, inbox, rules, wishes
from alphapulse_nb.actions.action import Action, Asked, Means

__all__ = ["ACTIONS", "Action", "Asked", "Means"]

ACTIONS: Final[dict[str, Action]] = {
    action.name: action for part in (inbox, wishes, rules, channels) for action in part.ACTIONS
}
