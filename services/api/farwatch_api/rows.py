"""What reading answers: something with named columns."""

from typing import Any, Protocol


class Row(Protocol):
    """A database record, or a dict in tests."""

    def __getitem__(self, name: str, /) -> Any: ...
