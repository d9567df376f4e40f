"""The proof of webhooks, small: it holds, and finds the fault that is planted in its control."""

import json

from tests.prove.proof import Sizes
from tests.prove.webhooks.webhooks import Webhooks


async def test_every_committed_event_arrives_whichever_sender_dies() -> None:
    figures = await Webhooks().run(Sizes({"PROVE_EVENTS": "120"}))
    assert figures.held, json.dumps(dict(figures.rows))


async def test_events_that_go_past_the_outbox_are_missed() -> None:
    figures = await Webhooks().control(Sizes({"PROVE_CONTROL_EVENTS": "100"}))
    assert not figures.held
    assert figures.rows["events lost"] != "0"
