"""Who did something, in words that fit after "by". Pure."""

_WORDS = {"user": "user {}", "token": "API token {}", "link": "a link that {} got"}
_ENVIRONMENT = "token:environment"


def say_actor(actor: str, name: str | None = None) -> str:
    """ "user:3" in words. `name` is how people knew the actor then; where none is known its number stands for it."""
    if name:
        return name
    if actor == _ENVIRONMENT:
        return "the API token of the environment"
    kind, _, which = actor.partition(":")
    words = _WORDS.get(kind)
    return words.format(which.replace("-", " ")) if words is not None and which else actor or "somebody"


def say_token(name: str) -> str:
    return f"the API token “{name}”"


def say_link(service: str, channel_name: str) -> str:
    """Of a link in a message: "a link in Discord", with the channel's name where that says more."""
    known = channel_name.casefold() in ("", service.casefold())
    return f"a link in {service}" if known else f"a link in {service} ({channel_name})"
