"""How many confirmations a region may be asked for."""

CONFIRMATION_SHARE = 0.05
CONFIRMATION_BURST = 20.0


class Askable:
    """Confirmations a region has room for: at most one in twenty of its checks, with a small reserve."""

    def __init__(self) -> None:
        self._room: dict[str, float] = {}

    def __contains__(self, region: object) -> bool:
        return self._room.get(str(region), CONFIRMATION_BURST) >= 1.0

    def earn(self, region: str) -> None:
        room = self._room.get(region, CONFIRMATION_BURST)
        self._room[region] = min(CONFIRMATION_BURST, room + CONFIRMATION_SHARE)

    def spend(self, region: str) -> None:
        self._room[region] = self._room.get(region, CONFIRMATION_BURST) - 1.0
