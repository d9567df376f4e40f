"""The Twilio-shaped REST, by the real SDK."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from telephony.simulator.exchange import Exchange
from tests.live.simulator.application import Application
from tests.live.simulator.carrier import ACCOUNT_SID, APP, OURS, RedirectedHttp, dial, ended


async def test_a_wrong_token_gets_twilios_401(exchange: Exchange) -> None:
    client = Client(ACCOUNT_SID, "wrong", http_client=RedirectedHttp(pool_connections=False))
    with pytest.raises(TwilioRestException) as refused:
        await asyncio.to_thread(client.calls("CA" + "0" * 32).fetch)
    assert (refused.value.status, refused.value.code) == (401, 20003)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"to": "not a number"}, 21211),
        ({"to": ""}, 21201),
        ({"from_": "+12025550177"}, 21210),
        ({"from_": "x"}, 21212),
        ({"from_": ""}, 21213),
        ({"url": "ftp://x"}, 21205),
        ({"url": ""}, 21205),
        ({"timeout": 100000}, 20001),
        ({"status_callback_event": ["nonsense"]}, 20001),
    ],
)
async def test_bad_dial_requests_are_refused_with_twilios_codes_and_nothing_is_dialed(
    exchange: Exchange, twilio: Client, change: dict[str, Any], code: int
) -> None:
    with pytest.raises(TwilioRestException) as refused:
        await dial(twilio, **{"to": "+12025550110", **change})
    assert (refused.value.status, refused.value.code) == (400, code)
    assert not exchange.calls


async def test_numbers_are_bought_listed_and_pointed_at_a_webhook(exchange: Exchange, twilio: Client) -> None:
    def story() -> Any:
        bought = twilio.incoming_phone_numbers.create(phone_number="+12025550100", voice_url=f"{APP}/a")
        twilio.incoming_phone_numbers(str(bought.sid)).update(voice_url=f"{APP}/b", status_callback=f"{APP}/s")
        with pytest.raises(TwilioRestException) as taken:
            twilio.incoming_phone_numbers.create(phone_number="+12025550100")
        return taken.value.code, twilio.incoming_phone_numbers.list(phone_number="+12025550100")

    code, (number,) = await asyncio.to_thread(story)
    assert code == 21422
    assert (number.voice_url, number.status_callback) == (f"{APP}/b", f"{APP}/s")
    assert isinstance(number.date_created, datetime)


async def test_a_list_is_paged_by_the_sdk_and_filtered_by_number_status_and_time(
    exchange: Exchange, twilio: Client, application: Application
) -> None:
    before = datetime.now(UTC)
    busy = [await dial(twilio, "+12025550150") for _ in range(5)]
    other = await dial(twilio, "+12025550175")
    for sid in [*busy, other]:
        await ended(exchange, sid)

    def story() -> Any:
        return (
            [call.sid for call in twilio.calls.list(to="+12025550150", page_size=2)],
            [call.sid for call in twilio.calls.list(from_=OURS, status="failed", start_time_after=before)],
            twilio.calls.list(start_time_after=before + timedelta(hours=1)),
        )

    paged, failed, later = await asyncio.to_thread(story)
    assert paged == busy[::-1]
    assert failed == [other]
    assert later == []


async def test_an_unknown_call_is_twilios_404(exchange: Exchange, twilio: Client) -> None:
    with pytest.raises(TwilioRestException) as missing:
        await asyncio.to_thread(twilio.calls("CA" + "0" * 32).fetch)
    assert (missing.value.status, missing.value.code) == (404, 20404)
