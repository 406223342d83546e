"""What an alert says, before a channel gives it its looks. Pure; a module for each thing that is told.

`words.py` has every text in one table, `alert.py` what a channel may show, `building.py` who tells which event.
"""

from farwatch_notifier.message.alert import COLOURS, SYMBOLS, Alert, Kind, Member, Tone
from farwatch_notifier.message.building import build_alert
from farwatch_notifier.message.group import build_group
from farwatch_notifier.message.sample import sample_alert
from farwatch_notifier.message.standing import build_reminder, build_standing
from farwatch_notifier.message.words import TEXTS

__all__ = [
    "COLOURS",
    "SYMBOLS",
    "TEXTS",
    "Alert",
    "Kind",
    "Member",
    "Tone",
    "build_alert",
    "build_group",
    "build_reminder",
    "build_standing",
    "sample_alert",
]
