"""What carriers' replies mean, and what a campaign does about a refusal: the list, or an outcome of its own."""

from typing import Any

import pytest

from campaigns.rules.dispositions import (
    NOT_A_CONVERSATION,
    Disposition,
    InvalidOutcomes,
    OnRefusal,
    OutcomeCodes,
    decide_disposition,
)
from telephony.calls import AtFault, Direction, End, EndReason, EndResult
from telephony.carriers.base import CarrierName
from telephony.carriers.replies import REPLIES, SIP_REFUSALS, Refusal, read_reply
from telephony.watch.carrier_events import CarrierNews, read_end

REJECTED = End(EndResult.REJECTED, EndReason.REJECTED, AtFault.CALLEE)


@pytest.mark.parametrize("carrier", [None, *CarrierName])
@pytest.mark.parametrize(
    ("sip_code", "refusal"),
    [
        (603, Refusal.DECLINED),
        (607, Refusal.UNWANTED),
        (608, Refusal.BLOCKED),
        (486, None),
        (480, None),
        (404, None),
        (None, None),
    ],
)
def test_a_sip_status_means_the_same_from_every_carrier(
    carrier: CarrierName | None, sip_code: int | None, refusal: Refusal | None
) -> None:
    assert read_reply(carrier=carrier, sip_code=sip_code) is refusal


@pytest.mark.parametrize(
    ("carrier", "code", "refusal"),
    [
        ("twilio", 21216, Refusal.BLOCKED),
        ("twilio", 21211, None),  # not a number at all
        ("twilio", 607, None),  # its own number, not SIP's
        ("plivo", 3020, Refusal.DECLINED),
        ("plivo", 3040, Refusal.BLOCKED),
        ("plivo", 3110, Refusal.DECLINED),
        ("plivo", 3130, Refusal.BLOCKED),
        ("plivo", 3010, None),
        ("sip", 21216, None),
    ],
)
def test_a_carriers_own_number_is_read_as_that_carriers(carrier: str, code: int, refusal: Refusal | None) -> None:
    assert read_reply(carrier=carrier, carrier_code=code) is refusal


def test_every_reply_stands_once_and_with_its_source() -> None:
    assert len({(reply.carrier, reply.code) for reply in REPLIES}) == len(REPLIES)
    assert all(reply.source and reply.says for reply in REPLIES)


@pytest.mark.parametrize("status", ["busy", "failed"])
@pytest.mark.parametrize("sip_code", sorted(SIP_REFUSALS))
def test_every_refusal_by_sip_ends_the_call_as_rejected(status: str, sip_code: int) -> None:
    news = CarrierNews(CarrierName.TWILIO, "CA1", status, sip_code)
    assert read_end(news, Direction.OUTBOUND) == REJECTED


@pytest.mark.parametrize(
    ("refusal", "settings", "disposition"),
    [
        (Refusal.DECLINED, {}, Disposition.REFUSED),
        (Refusal.UNWANTED, {}, Disposition.REFUSED),
        (Refusal.BLOCKED, {}, Disposition.CARRIER_BLOCKED),
        (Refusal.BLOCKED, {"carrier_replies": {"blocked": "refused"}}, Disposition.REFUSED),
        (Refusal.DECLINED, {"carrier_replies": {"declined": "carrier-blocked"}}, Disposition.CARRIER_BLOCKED),
        (Refusal.BLOCKED, {"mapping": {"carrier-blocked": "no-answer"}}, Disposition.NO_ANSWER),
        (None, {}, Disposition.REFUSED),
    ],
)
def test_a_campaign_says_what_a_refusal_comes_to(
    refusal: Refusal | None, settings: dict[str, Any], disposition: Disposition
) -> None:
    codes = OutcomeCodes.read(settings)
    assert decide_disposition(REJECTED, {}, answered=False, refusal=refusal, codes=codes) == disposition


def test_only_who_does_not_want_calls_is_listed_unless_a_campaign_says_more() -> None:
    usual = OutcomeCodes()
    assert [usual.on_refusal(refusal) for refusal in Refusal] == [
        OnRefusal.DO_NOT_CALL,
        OnRefusal.CARRIER_BLOCKED,
        OnRefusal.REFUSED,
    ]
    careful = OutcomeCodes.read({"carrier_replies": {"blocked": "do-not-call", "declined": "do-not-call"}})
    assert {careful.on_refusal(refusal) for refusal in Refusal} == {OnRefusal.DO_NOT_CALL}


@pytest.mark.parametrize("replies", [{"spam": "refused"}, {"blocked": "shout"}])
def test_settings_that_name_no_refusal_or_no_answer_to_it_are_refused(replies: dict[str, str]) -> None:
    with pytest.raises(InvalidOutcomes):
        OutcomeCodes.read({"carrier_replies": replies})


def test_a_call_that_was_blocked_was_no_conversation() -> None:
    assert Disposition.CARRIER_BLOCKED in NOT_A_CONVERSATION
