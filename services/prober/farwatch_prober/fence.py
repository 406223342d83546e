"""Which scheduler to believe. Pure."""


class Fence:
    """Refuses what an overtaken scheduler still asks for: slots of an older epoch from where the newer one began.

    Older slots of an older epoch are a backlog, or come again because another prober died with them. Nobody asks
    for those a second time, so refusing them would leave holes.
    """

    def __init__(self) -> None:
        self.epoch = 0
        self._since_ms = 0

    def admits(self, epoch: int, slot_ms: int) -> bool:
        if epoch > self.epoch:
            self.epoch, self._since_ms = epoch, slot_ms
        elif epoch == self.epoch:
            self._since_ms = min(self._since_ms, slot_ms)
        else:
            return slot_ms < self._since_ms
        return True
