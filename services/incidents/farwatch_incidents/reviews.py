"""Monitors that are decided anew without a result, because something around them changed: a bounded number a step."""

from collections.abc import Iterable
from itertools import islice

from farwatch_incidents.expiries import Expiries
from farwatch_incidents.ledger import Ledger
from farwatch_incidents.rules import monitor as rules

REVIEWS_A_STEP = 1000


class Reviews:
    def __init__(self, ledger: Ledger, expiries: Expiries) -> None:
        self._ledger = ledger
        self._expiries = expiries
        self._waiting: dict[int, None] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def ask(self, monitor_ids: Iterable[int]) -> None:
        self._waiting.update(dict.fromkeys(monitor_ids))

    def ask_for_region(self, region: str) -> None:
        """All that are checked from there."""
        self.ask(each for each, config in self._ledger.configs.items() if region in self._ledger.regions_of(config))

    def take_some(self) -> None:
        ledger = self._ledger
        for monitor_id in list(islice(self._waiting, REVIEWS_A_STEP)):
            del self._waiting[monitor_id]
            if monitor_id not in ledger.states or monitor_id not in ledger.configs:
                continue
            if self._expiries.end_stale(monitor_id):
                continue  # a region that returns would decide with its old votes, alone if nobody else was asked
            ledger.decide(monitor_id, rules.review)

    def end_suppression(self) -> None:
        """Incidents that nobody was told of, for a reason that may be over."""
        ledger = self._ledger
        for monitor_id in list(ledger.suppressed):
            state = ledger.states.get(monitor_id)
            gone = state is None or monitor_id not in ledger.configs
            if gone or state is None or state.incident is None or state.incident.suppressed is None:
                ledger.suppressed.discard(monitor_id)
            else:
                ledger.decide(monitor_id, rules.unsuppress)
