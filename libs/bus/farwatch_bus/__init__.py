"""NATS as Farwatch uses it: a connection that stays, acknowledged publishing, pulling, reading, leases, streams."""

from farwatch_bus.bus import Bus
from farwatch_bus.errors import (
    BusClosed,
    BusError,
    BusTimeout,
    ConnectionLost,
    MessageTooLarge,
    NoResponders,
    PublishRefused,
    PublishTimeout,
    RemoteFailure,
    SequenceGap,
    StreamError,
    StreamReplaced,
)
from farwatch_bus.leases import Lease
from farwatch_bus.link import Subscription
from farwatch_bus.message import Message
from farwatch_bus.publisher import Ack, Publisher
from farwatch_bus.puller import Puller
from farwatch_bus.reader import Reader
from farwatch_bus.streams import (
    ConsumerSpec,
    StreamInfo,
    StreamSpec,
    consumer_pending,
    delete_stream,
    ensure_consumer,
    ensure_stream,
    purge_up_to,
    stream_info,
)
from farwatch_bus.topology import delete_region, ensure_events, ensure_leases, ensure_region

__all__ = [
    "Ack",
    "Bus",
    "BusClosed",
    "BusError",
    "BusTimeout",
    "ConnectionLost",
    "ConsumerSpec",
    "Lease",
    "Message",
    "MessageTooLarge",
    "NoResponders",
    "PublishRefused",
    "PublishTimeout",
    "Publisher",
    "Puller",
    "Reader",
    "RemoteFailure",
    "SequenceGap",
    "StreamError",
    "StreamInfo",
    "StreamReplaced",
    "StreamSpec",
    "Subscription",
    "consumer_pending",
    "delete_region",
    "delete_stream",
    "ensure_consumer",
    "ensure_events",
    "ensure_leases",
    "ensure_region",
    "ensure_stream",
    "purge_up_to",
    "stream_info",
]
