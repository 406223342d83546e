"""Times in which Farwatch did not watch: they are not held against the votes."""

KEPT = 64


class Absences:
    """Spans of time, oldest first, of which the last KEPT are remembered. `watched_ms` is when the fold last watched,
    also the one before this, 0 for the first ever."""

    def __init__(self, shortest_ms: int) -> None:
        self._shortest_ms = shortest_ms
        self._spans: list[tuple[int, int]] = []
        self._watched_ms = 0
        self._has_watched = False

    def go_on(self, watched_ms: int, spans: list[tuple[int, int]]) -> None:
        """As the fold before left it."""
        self._watched_ms = watched_ms
        self._spans = sorted(spans)[-KEPT:]

    def watch(self, now_ms: int) -> None:
        """Everything up to now has been seen."""
        if now_ms - self._watched_ms > self._shortest_ms:
            self._spans = [*self._spans, (self._watched_ms, now_ms)][-KEPT:]
        self._watched_ms = now_ms
        self._has_watched = True

    def is_watching(self, now_ms: int) -> bool:
        """A fold that has just started has not seen yet what came while there was none."""
        return self._has_watched and now_ms - self._watched_ms <= self._shortest_ms

    def after(self, moment_ms: int) -> int:
        """How much time after that moment was not watched."""
        return sum(end_ms - max(begin_ms, moment_ms) for begin_ms, end_ms in self._spans if end_ms > moment_ms)
