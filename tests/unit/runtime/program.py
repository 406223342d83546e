"""A service for test_service.py to run in a process of its own: `python program.py <behaviour>`."""

import asyncio
import sys
from pathlib import Path

from farwatch_runtime.service import Service, run
from farwatch_runtime.settings import ServiceSettings


async def dies() -> None:
    await asyncio.sleep(0.1)
    raise RuntimeError("side task broke")


async def forever() -> None:
    await asyncio.Event().wait()


async def body(service: Service, settings: ServiceSettings) -> None:
    behaviour = sys.argv[1]
    if behaviour == "waits-for-a-server":
        Path(sys.argv[2]).write_text("up")
        await service.stop.wait()
        raise RuntimeError("stopped while connecting")
    service.ready()
    if behaviour == "side-task-dies":
        _ = service.spawn("helper", dies())
    elif behaviour == "body-fails":
        raise ValueError("body broke")
    elif behaviour == "hangs-at-stop":
        await forever()
    _ = service.spawn("forever", forever())
    Path(sys.argv[2]).write_text("up")
    await service.stop.wait()
    await asyncio.sleep(0.2)
    service.log.info("finished_what_was_in_flight", password="swordfish", nats_password=settings.nats_password)


if __name__ == "__main__":
    sys.exit(run("sample", ServiceSettings, body))
