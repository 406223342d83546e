"""One message to one channel: read its configuration, decrypt it, send, and say how it ended."""

from collections.abc import Mapping
from typing import Any

import structlog
from pydantic import ValidationError

from farwatch_events.channels import ChannelConfig, UnknownChannelType, map_channel_secrets, parse_channel
from farwatch_notifier.deliveries import ChannelRow
from farwatch_notifier.message import Alert
from farwatch_notifier.outbound import Outbound
from farwatch_notifier.outcome import DeliveryError, Sent
from farwatch_notifier.registry import CHANNELS
from farwatch_notifier.turn import await_turn
from farwatch_runtime.secrets import SecretBox, SecretError

log = structlog.get_logger("farwatch_notifier")


UNPREPARED = frozenset({"email", "apprise"})
"""They speak for themselves, not through Outbound, which waits for its turn once it is connected."""


class Sender:
    def __init__(self, box: SecretBox, outbound: Outbound) -> None:
        self._box = box
        self._outbound = outbound

    async def send(self, channel: ChannelRow, alert: Alert, dedup_key: str) -> Sent:
        """Raises DeliveryError, and nothing else."""
        config = self._read(channel)
        if channel.type in UNPREPARED:
            await await_turn()
        try:
            return await CHANNELS[channel.type](config, alert, dedup_key, self._outbound)
        except DeliveryError:
            raise
        except Exception as error:
            # Not permanent: a mistake of ours must not lose an alert that a restart or an update could deliver.
            log.exception("send_failed_unexpectedly", channel=channel.id, type=channel.type)
            raise DeliveryError(f"Farwatch could not send it: {type(error).__name__}", permanent=False) from error

    def _read(self, channel: ChannelRow) -> ChannelConfig:
        """Failures are not permanent: mending the channel or the key within the time for retries is enough."""
        try:
            return parse_channel(channel.type, self._decrypted(channel.type, channel.config))
        except UnknownChannelType as error:
            raise DeliveryError(str(error), permanent=True) from None
        except SecretError as error:
            raise DeliveryError(f"a secret of the channel cannot be read: {error}", permanent=False) from None
        except ValidationError as error:
            wrong = ", ".join(".".join(str(part) for part in each["loc"]) for each in error.errors())
            raise DeliveryError(f"the channel's configuration is not valid: {wrong}", permanent=False) from None

    def _decrypted(self, channel_type: str, config: Mapping[str, Any]) -> dict[str, Any]:
        def plain(value: str) -> str:
            return self._box.decrypt(value) if self._box.is_encrypted(value) else value

        return map_channel_secrets(channel_type, config, plain)
