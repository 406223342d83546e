"""Which Apprise URLs a channel may hold.

Allowed are services across the network. Not allowed is what stays on this machine (desktop notifications, the local
syslog, devices), what reads files by a path of the URL, and what would need libraries that are not installed.
"""

from urllib.parse import parse_qsl

SCHEMES = frozenset(
    """
    46elks amqp amqps apprise apprises aprs atalk azure bark barks betterstack bluesky brevo bsky bulksms bulkvs
    burstsms chanify clickatell clicksend cliq cm d7sms dapnet deltachat deltachats dingtalk discord dot eight00com elks
    emby embys enigma2 enigma2s evolution evolutions exotel feishu firehydrant flock flowtriq flowtriqs fluxer fluxers
    form forms freemobile gchat github goalert goalerts gorush gorushs gotify gotifys groundmail groupme guilded gupshup
    hassio hassios httpsms humhub humhubs ifttt ilert incidentio infobip irc ircs jellyfin jellyfins jira join json
    jsons kakao kakaotalk kaleyra kavenegar klr kodi kodis kook kudosity kumulos lametric lametrics lark lauther lfg
    line mailersend mailgun mailto mailtos mastodon mastodons matrix matrixs misskey misskeys mmost mmosts mobilemessage
    mobilemsg msg91 msgbird ncloud nclouds nctalk nctalks nexmo nostr notica noticas notifiarr notifico notificos
    notifyre ntfy ntfys o365 octopush onebot onebots onesignal opsgenie pagerduty pagertree parsep parseps pbul pinglet
    pinglets pingram pjet pjets plivo postmark pover prowl psafer psafers push pushdeer pushdeers pushed pushme pushplus
    pushward pushy qq reddit resend revolt ringc rocket rockets rsyslog ryver schan sendgrid sendpulse serwersms ses
    session sessions seven sfr signal signalgrid signals signl4 simplepush sinch slack smsc smseagle smseagles
    smsmanager smsmgr smstunnel smtp2go sns sogs sparkpost spike splunk spugpush spush squadcast stackfield strmlabs
    synology synologys telesign telnyx tgram threema toot toots trigv trigvs tweet twilio twist twitter viber victorops
    voipms vonage webex wechat wecom wecombot whapi whatsapp workflow workflows wpush wxpusher wxteams x xbmc xbmcs
    xmatters xml xmls youlmk zalo zcliq zohocliq zoom zulip
    """.split()  # noqa: SIM905 - a list of 270 quoted words hides what was added
)

# Paths of files; "optional", which reads a failure as success; waits and retries, which are Farwatch's.
REFUSED_PARAMETERS = frozenset(
    {"template", "attach", "keyfile", "subfile", "pgp", "pgppub", "pgpprv", "wkd"}
    | {"optional", "retry", "wait", "rto", "cto"}
)
URLS_MAX = 10


def split_urls(urls: str) -> list[str]:
    """One URL a line; empty lines are left out."""
    return [line.strip() for line in urls.splitlines() if line.strip()]


def require_apprise_urls(urls: str) -> str:
    """The URLs, one a line; raises ValueError that names the line and no secret of it."""
    lines = split_urls(urls)
    if not 1 <= len(lines) <= URLS_MAX:
        raise ValueError(f"must be 1 to {URLS_MAX} Apprise URLs, one a line")
    for number, line in enumerate(lines, 1):
        if problem := _problem(line):
            raise ValueError(f"line {number}: {problem}")
    return "\n".join(lines)


def _problem(url: str) -> str | None:
    scheme, separator, rest = url.partition("://")
    if not separator or not rest:
        return "is not an Apprise URL such as gotify://host/token"
    if any(ord(c) <= 32 or ord(c) == 127 for c in url):
        return "must not contain spaces or control characters"
    if scheme.lower() not in SCHEMES:
        return f"{scheme[:32]}:// is not a service that Farwatch sends to through Apprise"
    names = {name.strip().lower() for name, _ in parse_qsl(rest.partition("?")[2], keep_blank_values=True)}
    refused = sorted(names & REFUSED_PARAMETERS)
    return f"the parameter {refused[0]} is not allowed" if refused else None
