"""What can go wrong on the bus. `permanent` tells whether trying the same again can help."""


class BusError(Exception):
    permanent = False


class BusClosed(BusError):
    """The connection was closed by its owner, or a stop was asked for while connecting."""

    permanent = True


class BusTimeout(BusError):
    """No answer in time. Whether the request was carried out is not known."""


class ConnectionLost(BusTimeout):
    """The connection broke while an answer was awaited, or was not there in time."""


class NoResponders(BusError):
    """Nobody listens on the subject."""


class MessageTooLarge(BusError):
    permanent = True

    def __init__(self, size: int) -> None:
        super().__init__(f"{size} bytes are more than the server takes in one message")


class RemoteFailure(BusError):
    """The responder's handler raised."""

    permanent = True


class StreamError(BusError):
    """JetStream's API answered with an error. `error_code` is JetStream's own number, 0 when it gave none."""

    def __init__(self, description: str, code: int = 0, error_code: int = 0) -> None:
        super().__init__(f"{description} (code {code}, error {error_code})")
        self.description = description
        self.code = code
        self.error_code = error_code
        self.permanent = 400 <= code < 500


class PublishRefused(StreamError):
    """The stream did not take the message: full, too large, wrong expected sequence or stream."""


class PublishTimeout(BusTimeout):
    """No acknowledgement before the deadline. Stored or not, the same msg_id is safe to send again."""


class SequenceGap(BusError):
    """The stream does not hold `expected`. `actual` is the next one it has.

    `actual` below `expected` means that the stream lost its tail: it will give `expected` to another message.
    """

    permanent = True

    def __init__(self, stream: str, expected: int, actual: int) -> None:
        super().__init__(f"{stream}: expected sequence {expected}, the stream continues at {actual}")
        self.stream = stream
        self.expected = expected
        self.actual = actual


class StreamReplaced(SequenceGap):
    """The stream was deleted and made again while it was read; `actual` is its first sequence."""
