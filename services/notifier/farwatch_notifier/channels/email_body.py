"""The two bodies of an alert mail. Tables and inline styles, because mail clients know little else."""

from html import escape

from farwatch_notifier.message import Alert
from farwatch_notifier.text import say_time

_FONT = "font-family:-apple-system,BlinkMacSystemFont,'Segoe UI',Roboto,Helvetica,Arial,sans-serif"
_MONO = "font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace"
_BADGES = {"bad": "DOWN", "warning": "WARNING", "good": "RESOLVED", "note": "TEST"}


def rows(alert: Alert) -> list[tuple[str, str]]:
    """Label and value of what is known, in reading order."""
    found = [
        ("Monitor", alert.monitor_name),
        ("Target", alert.target),
        ("Since", "" if alert.since_ms is None else say_time(alert.since_ms)),
        ("Duration", alert.duration or ""),
        ("Regions", ", ".join(alert.regions)),
        ("Cause", alert.error or ""),
        ("Why", alert.reason),
        ("Answered", alert.answered_status),
    ]
    return [(label, value) for label, value in found if value]


def render_text(alert: Alert) -> str:
    table = [f"{label + ':':<11}{value}" for label, value in rows(alert)]
    parts = [alert.sentence, "\n".join(table)]
    if alert.answered_excerpt:
        parts.append("Answer:\n" + "\n".join(f"> {line}" for line in alert.answered_excerpt.splitlines()))
    if alert.link:
        parts.append(alert.link)
    return "\n\n".join([*parts, "-- \nFarwatch"]) + "\n"


def render_html(alert: Alert) -> str:
    colour = f"#{alert.colour:06x}"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(alert.title)}</title>
</head>
<body style="margin:0;padding:0;background:#f2f4f7;{_FONT}">
<div style="display:none;max-height:0;overflow:hidden">{escape(alert.sentence)}</div>
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="background:#f2f4f7">
<tr><td align="center" style="padding:24px 12px">
<table role="presentation" width="600" cellpadding="0" cellspacing="0"
 style="width:100%;max-width:600px;background:#ffffff;border:1px solid #e4e7ec;border-radius:10px">
<tr><td style="height:6px;line-height:6px;font-size:0;background:{colour};border-radius:10px 10px 0 0">&nbsp;</td></tr>
<tr><td style="padding:24px 28px 8px">
<span style="display:inline-block;padding:3px 10px;border-radius:12px;background:{colour};color:#ffffff;
font-size:12px;font-weight:700;letter-spacing:.4px">{_badge(alert)}</span>
<h1 style="margin:14px 0 6px;font-size:22px;line-height:1.3;color:#101828;word-break:break-word">
{escape(alert.title)}</h1>
<p style="margin:0;font-size:15px;line-height:1.5;color:#475467;word-break:break-word">{escape(alert.sentence)}</p>
</td></tr>
<tr><td style="padding:12px 28px">
<table role="presentation" width="100%" cellpadding="0" cellspacing="0" style="border-top:1px solid #e4e7ec">
{"".join(_row(label, value) for label, value in rows(alert))}</table>
</td></tr>
{_excerpt(alert)}{_button(alert, colour)}<tr><td style="padding:16px 28px 22px;font-size:12px;color:#98a2b3">
Sent by Farwatch. Channels and their moments are set on the settings page.</td></tr>
</table>
</td></tr>
</table>
</body>
</html>
"""


def _badge(alert: Alert) -> str:
    return {"degraded": "DEGRADED", "up": "RECOVERED"}.get(alert.kind, _BADGES[alert.tone])


def _row(label: str, value: str) -> str:
    cell = "padding:9px 0;border-bottom:1px solid #f2f4f7;font-size:14px;line-height:1.45;vertical-align:top"
    return (
        f'<tr><td width="96" style="{cell};color:#667085">{escape(label)}</td>'
        f'<td style="{cell};color:#101828;word-break:break-word">{escape(value)}</td></tr>\n'
    )


def _excerpt(alert: Alert) -> str:
    if not alert.answered_excerpt:
        return ""
    style = (
        f"margin:0;padding:12px;background:#f9fafb;border:1px solid #e4e7ec;border-radius:6px;font-size:12px;{_MONO}"
    )
    return (
        f'<tr><td style="padding:4px 28px 12px"><pre style="{style};color:#344054;white-space:pre-wrap;'
        f'word-break:break-word">{escape(alert.answered_excerpt)}</pre></td></tr>\n'
    )


def _button(alert: Alert, colour: str) -> str:
    if alert.link is None:
        return ""
    words = f"Open incident {alert.incident_id}" if alert.incident_id else "Open Farwatch"
    style = "display:inline-block;padding:11px 20px;font-size:14px;font-weight:600;color:#ffffff;text-decoration:none"
    return (
        f'<tr><td style="padding:8px 28px 4px"><table role="presentation" cellpadding="0" cellspacing="0"><tr>'
        f'<td style="border-radius:8px;background:{colour}">'
        f'<a href="{escape(alert.link, quote=True)}" style="{style}">{words}</a></td></tr></table></td></tr>\n'
    )
