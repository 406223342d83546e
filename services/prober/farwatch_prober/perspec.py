"""What follows from a specification alone, worked out once."""

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import KeyedRef

S = TypeVar("S")
P = TypeVar("P")


class PerSpec(Generic[S, P]):
    """`make` is called once for each specification, and its answer kept for as long as that very object lives.

    So what follows from secrets in the clear is gone with them.
    """

    def __init__(self, make: Callable[[S], P]) -> None:
        self._make = make
        self._known: dict[int, tuple[KeyedRef[int, S], P]] = {}

    def __call__(self, spec: S) -> P:
        """Raises what `make` raises, each time."""
        key = id(spec)
        known = self._known.get(key)
        if known is not None and known[0]() is spec:
            return known[1]
        made = self._make(spec)
        self._known[key] = (KeyedRef(spec, self._forget, key), made)
        return made

    def _forget(self, gone: KeyedRef[int, S]) -> None:
        self._known.pop(gone.key, None)
