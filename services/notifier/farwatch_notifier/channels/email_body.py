"""The two bodies of an alert mail. Tables and inline styles, because mail clients know little else.

Every text has its own colour on its own background, so that a client that turns colours around turns both. Clients that
know dark mode take the colours of DARK, by class; the others never see them.
"""

from html import escape

from farwatch_notifier.channels.parts import details, links
from farwatch_notifier.message import Alert, Kind, Tone

_FONT = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_MONO = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"
# Dark enough for white letters on them, unlike the stripe's.
FILLS: dict[Tone, str] = {"bad": "#b42318", "warning": "#b54708", "good": "#067647", "note": "#175cd3"}
DARK = {
    "page": "background:#0c111d",
    "card": "background:#161b26;border-color:#333741",
    "strong": "color:#f5f5f6",
    "soft": "color:#a3a8b3",
    "rule": "border-color:#333741",
    "code": "background:#0c111d;border-color:#333741;color:#d5d7dc",
}
_BADGES_BY_TONE: dict[Tone, str] = {"bad": "DOWN", "warning": "WARNING", "good": "RESOLVED", "note": "TEST"}
_BADGES: dict[Kind, str] = {
    "degraded": "DEGRADED",
    "up": "RECOVERED",
    "group_up": "RECOVERED",
    "first_failure": "FIRST FAILURE",
    "first_success": "ANSWERS",
    "acknowledged": "ACKNOWLEDGED",
    "flapping": "FLAPPING",
    "steady": "STEADY",
    "system_troubled": "TROUBLE",
    "system_recovered": "WELL AGAIN",
}


def rows(alert: Alert) -> list[tuple[str, str]]:
    """Label and value of what is known, in reading order."""
    return [*([("Monitor", alert.monitor_name)] if alert.monitor_name else []), *details(alert)]


def render_text(alert: Alert) -> str:
    table = [f"{label + ':':<11}{value}" for label, value in rows(alert)]
    parts = [alert.sentence, "\n".join(table)]
    if alert.answered_excerpt:
        parts.append("Answer:\n" + "\n".join(f"> {line}" for line in alert.answered_excerpt.splitlines()))
    parts += [f"{words}: {address}" for words, address in links(alert)]
    return "\n\n".join([*parts, "-- \nFarwatch"]) + "\n"


def render_html(alert: Alert) -> str:
    colour = f"#{alert.colour:06x}"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<style>{_dark_rules()}</style>
<title>{escape(alert.title)}</title>
</head>
<body class="page" style="margin:0;padding:0;background:#f2f4f7;{_FONT}">
<div style="display:none;max-height:0;overflow:hidden">{escape(alert.sentence)}</div>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" class="page" style="background:#f2f4f7">
<tr><td align="center" style="padding:24px 12px">
<table role="presentation" width="600" cellpadding="0" cellspacing="0" class="card"
 style="width:100%;max-width:600px;background:#ffffff;border:1px solid #e4e7ec;border-radius:10px">
<tr><td style="height:6px;line-height:6px;font-size:0;background:{colour};border-radius:10px 10px 0 0">&nbsp;</td></tr>
<tr><td style="padding:24px 28px 8px">
<span style="display:inline-block;padding:3px 10px;border-radius:12px;background:{FILLS[alert.tone]};color:#ffffff;
font-size:12px;font-weight:700;letter-spacing:.4px">{_badge(alert)}</span>
<h1 class="strong" style="margin:14px 0 6px;font-size:22px;line-height:1.3;color:#101828;word-break:break-word">
{escape(alert.title)}</h1>
<p class="soft" style="margin:0;font-size:15px;line-height:1.5;color:#475467;word-break:break-word">
{escape(alert.sentence)}</p>
</td></tr>
<tr><td style="padding:12px 28px">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" class="rule"
 style="border-top:1px solid #e4e7ec">
{"".join(_row(label, value) for label, value in rows(alert))}</table>
</td></tr>
{_excerpt(alert)}{_buttons(alert)}<tr><td class="soft" style="padding:16px 28px 22px;font-size:12px;color:#667085">
Sent by Farwatch. Channels and their moments are set on the settings page.</td></tr>
</table>
</td></tr>
</table>
</body>
</html>
"""


def _badge(alert: Alert) -> str:
    if alert.kind == "reminder" and alert.severity:
        return f"STILL {alert.severity.upper()}"
    return _BADGES.get(alert.kind, _BADGES_BY_TONE[alert.tone])


def _row(label: str, value: str) -> str:
    cell = "padding:9px 0;border-bottom:1px solid #f2f4f7;font-size:14px;line-height:1.45;vertical-align:top"
    return (
        f'<tr><td width="96" class="soft rule" style="{cell};color:#667085">{escape(label)}</td>'
        f'<td class="strong rule" style="{cell};color:#101828;word-break:break-word">{escape(value)}</td></tr>\n'
    )


def _excerpt(alert: Alert) -> str:
    if not alert.answered_excerpt:
        return ""
    style = (
        f"margin:0;padding:12px;background:#f9fafb;border:1px solid #e4e7ec;border-radius:6px;font-size:12px;{_MONO}"
    )
    return (
        f'<tr><td style="padding:4px 28px 12px"><pre class="code" style="{style};color:#344054;white-space:pre-wrap;'
        f'word-break:break-word">{escape(alert.answered_excerpt)}</pre></td></tr>\n'
    )


def _buttons(alert: Alert) -> str:
    """What can be opened first, filled; the rest as links beside it."""
    found = links(alert)
    if not found:
        return ""
    shared = "display:inline-block;margin:4px 16px 4px 0;font-size:14px;line-height:20px;white-space:nowrap"
    filled = f"{shared};padding:11px 20px;border-radius:8px;background:{FILLS[alert.tone]};color:#ffffff"
    beside = f"{shared};padding:11px 0;color:#475467"
    (words, address), *more = found
    shown = [
        f'<a href="{escape(address, quote=True)}" style="{filled};font-weight:600;text-decoration:none">{words}</a>',
        *(f'<a class="soft" href="{escape(each, quote=True)}" style="{beside}">{label}</a>' for label, each in more),
    ]
    return f'<tr><td style="padding:8px 28px 4px">{" ".join(shown)}</td></tr>\n'


def _dark_rules() -> str:
    rules = (f".{name}{{{';'.join(f'{part}!important' for part in style.split(';'))}}}" for name, style in DARK.items())
    return f":root{{color-scheme:light dark}}@media (prefers-color-scheme:dark){{{''.join(rules)}}}"
