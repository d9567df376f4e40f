"""A process that sends webhooks, and may be killed: `python -m tests.prove.webhooks.sender URL KEY`."""

import argparse
import asyncio
import random

from pydantic import SecretStr

from app.db import Database
from app.http.outward import Outward
from app.logs import configure_logs
from campaigns.outcomes.webhooks.delivering import Deliverer, deliver_webhooks


async def work(url: str, key: str) -> None:
    """Until it is killed."""
    configure_logs(json_lines=True, level="ERROR")
    db = await Database.connect(url, max_size=3, application="webhook sender")
    outward = Outward(allow_loopback=True)
    print("sending", flush=True)
    await deliver_webhooks(Deliverer(db, outward, SecretStr(key), random.random), asyncio.Event())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("key")
    arguments = parser.parse_args()
    asyncio.run(work(arguments.url, arguments.key))
