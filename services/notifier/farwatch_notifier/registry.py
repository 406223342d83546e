"""Every channel type. A new one is a module in `channels`, a model in farwatch_events.channels, a line here, a test."""

from typing import Any, Protocol

from farwatch_notifier.channels import apprise, discord, email, ntfy, pagerduty, slack, teams, telegram, webhook
from farwatch_notifier.message import Alert
from farwatch_notifier.outbound import Outbound
from farwatch_notifier.outcome import Sent


class Send(Protocol):
    async def __call__(self, config: Any, alert: Alert, dedup_key: str, outbound: Outbound) -> Sent:
        """Sends one message, once. Raises DeliveryError; `config` is the type's own model, secrets in the clear."""


CHANNELS: dict[str, Send] = {
    "discord": discord.send,
    "slack": slack.send,
    "teams": teams.send,
    "telegram": telegram.send,
    "email": email.send,
    "ntfy": ntfy.send,
    "pagerduty": pagerduty.send,
    "webhook": webhook.send,
    "apprise": apprise.send,
}
