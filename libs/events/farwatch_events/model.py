"""The base of every message: frozen, closed, compact on the wire."""

from typing import Self

from pydantic import BaseModel, ConfigDict


class Message(BaseModel):
    """A frozen value. Unknown fields are refused where people write and ignored where services read."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def to_bytes(self) -> bytes:
        """JSON in UTF-8; fields that stand at their default are left out."""
        return self.model_dump_json(exclude_defaults=True).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """Raises pydantic.ValidationError for anything that is not this message."""
        return cls.model_validate_json(data)
