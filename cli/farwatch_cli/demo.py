"""`farwatch demo`: sample monitors on a local target that fails now and then, so that an empty screen comes alive."""

import asyncio
import signal
import time
from pathlib import Path
from typing import Final

import httpx

from farwatch_cli.client import Client
from farwatch_cli.demo_target import SHOP_NAME, serve
from farwatch_cli.difference import Monitor, compare
from farwatch_cli.embedded.files import kept_port, private_folder
from farwatch_cli.monitors import carry_out
from farwatch_events.monitor import dump_monitor, parse_monitor

TAG: Final = "demo"
_PREFIX: Final = "Demo: "
_PUSH_NAME: Final = f"{_PREFIX}nightly backup"


def samples(port: int) -> list[Monitor]:
    """The sample monitors, complete with defaults."""
    site = f"http://127.0.0.1:{port}"
    written: list[Monitor] = [
        {"name": "Demo: shop", "type": "http", "url": f"{site}/", "expected_text": "All is well"},
        {"name": "Demo: search", "type": "http", "url": f"{site}/search", "degraded_ms": 800},
        {"name": "Demo: checkout", "type": "http", "url": f"{site}/checkout"},
        {"name": "Demo: docs", "type": "http", "url": f"{site}/docs", "forbidden_text": "Exception"},
        {"name": "Demo: shop's port", "type": "port", "host": "127.0.0.1", "port": port},
        {"name": "Demo: shop's name", "type": "dns", "host": SHOP_NAME, "resolver": f"127.0.0.1:{port}"},
        {"name": _PUSH_NAME, "type": "push", "grace_seconds": 20},
    ]
    usual = {"interval_seconds": 10, "tags": [TAG]}
    return [dump_monitor(parse_monitor({**usual, **monitor})) for monitor in written]


def run(client: Client, folder: Path) -> int:
    """Adds the samples and serves the target until Ctrl-C. Running it again changes nothing but the target."""
    port = kept_port(private_folder(folder) / "demo-port")

    async def started() -> None:
        push_url = await asyncio.to_thread(_add, client, port)
        print(f"The demo target serves on http://127.0.0.1:{port}/ and its monitors are at {client.url}/")
        print("Ctrl-C stops the target, and its monitors go down. `farwatch demo --remove` removes them.", flush=True)
        if push_url is not None:
            pushing.append(asyncio.create_task(_push(push_url)))

    pushing: list[asyncio.Task[None]] = []

    async def until_stopped() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        serving = asyncio.create_task(serve(port, time.time, started))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait((serving, stopping), return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()  # raises why it could not serve
        for task in (serving, *pushing):
            task.cancel()
        await asyncio.wait((serving, *pushing), timeout=1)  # one that misses this is cancelled again as the loop ends

    asyncio.run(until_stopped())
    print("The demo target has stopped.")
    return 0


def remove(client: Client) -> int:
    """Deletes every monitor with the tag of the demo."""
    monitors = list(client.items("/api/monitors", tag=TAG))
    for monitor in monitors:
        client.delete(f"/api/monitors/{monitor['id']}")
    print(f"{len(monitors)} monitors of the demo were removed.")
    return 0


def _add(client: Client, port: int) -> str | None:
    """Returns the URL that the push monitor wants to be called at."""
    ours = [monitor for monitor in client.items("/api/monitors", tag=TAG) if monitor["name"].startswith(_PREFIX)]
    carry_out(client, compare(samples(port), ours, prune=True))  # an earlier version had others
    for monitor in client.items("/api/monitors", tag=TAG):
        if monitor["name"] == _PUSH_NAME:
            detail = client.get(f"/api/monitors/{monitor['id']}")
            return str(detail["push_url"]) if detail.get("push_url") else None
    return None


async def _push(url: str) -> None:
    async with httpx.AsyncClient(timeout=5, trust_env=False) as client:
        while True:
            try:
                await client.post(url)
            except httpx.HTTPError as error:
                print(f"the push was not taken: {error}", flush=True)
            await asyncio.sleep(8)
