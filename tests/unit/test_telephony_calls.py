"""How calls end, how numbers are read, who may be dialed: decisions without a database."""

from datetime import UTC, datetime

import pytest

from app.ids import E164, CallId, OrgId, new_id
from telephony.calls import Call, CallStatus, Channel, Direction, DispatchMetadata, End, EndReason, EndResult
from telephony.carriers.base import CarrierName, DialRefused, DialUncertain
from telephony.inbound import read_sip_arrival
from telephony.legs import LegKind, leg_kind
from telephony.lines.numbers import InvalidNumber, parse_dialed, parse_number
from telephony.sip_dial import dial_error
from telephony.toll_gate.destinations import TollGateRefused, check_destination
from telephony.watch.sip_progress import end_of_sip_leg
from tests.fakes import room_leg

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
OURS, THEIRS = E164("+12025550100"), E164("+12025550123")


def a_call(direction: Direction = Direction.INBOUND, *, answered: bool = True) -> Call:
    call_id = CallId(new_id())
    return Call(
        id=call_id,
        org_id=OrgId(new_id()),
        channel=Channel.PHONE,
        direction=direction,
        status=CallStatus.IN_PROGRESS if answered else CallStatus.RINGING,
        room_name=f"call-{call_id}",
        carrier=CarrierName.SIP,
        carrier_call_id=None,
        carrier_status=None,
        sip_code=None,
        from_number=THEIRS,
        to_number=OURS,
        number_id=None,
        team_version_id=None,
        attempt_id=None,
        variables={},
        hint={},
        end=None,
        rescues=0,
        created_at=NOW,
        dialed_at=None,
        ringing_at=NOW,
        answered_at=NOW if answered else None,
        ended_at=None,
    )


@pytest.mark.parametrize("result", list(EndResult))
def test_every_result_has_a_status_on_the_wire(result: EndResult) -> None:
    expected = {EndResult.REJECTED: CallStatus.FAILED, EndResult.INDETERMINATE: CallStatus.FAILED}
    assert End(result, EndReason.LOST).status == expected.get(result, result.value)


@pytest.mark.parametrize(
    "dialed",
    [
        "+12025550100",
        "12025550100",
        "0012025550100",
        "sip:+12025550100@example.com",
        "+1 (202) 555-0100",
        "tel:+12025550100",
    ],
)
def test_a_dialed_number_is_read_however_a_carrier_writes_it(dialed: str) -> None:
    assert parse_dialed(dialed) == OURS


@pytest.mark.parametrize("dialed", ["", "100", "reception", "+", "++12025550100", "+1202555010a"])
def test_what_is_no_international_number_is_not_dialed(dialed: str) -> None:
    with pytest.raises(InvalidNumber):
        parse_dialed(dialed)


@pytest.mark.parametrize("text", ["(202) 555-0123", "202-555-0123", "+1 202 555 0123", "1 202 555 0123"])
def test_a_written_number_becomes_e164_in_its_region(text: str) -> None:
    assert parse_number(text, "US") == THEIRS


@pytest.mark.parametrize("text", ["", "12", "hello", "+1 202 555 01234567", "202-555-0123 ext. 4", "+999 123456"])
def test_a_number_that_cannot_exist_is_refused(text: str) -> None:
    with pytest.raises(InvalidNumber):
        parse_number(text, "US")


@pytest.mark.parametrize(
    ("text", "region", "why"),
    [
        ("+12025550102x", "US", "letters"),
        ("1-202-555-DESK", "US", "letters"),
        ("+12025550102!", "US", "characters"),
        ("+12025550102#4", "US", "extension"),
        ("911", "US", "Emergency and short"),
        ("+1 911", "US", "Emergency and short"),
        ("112", "DE", "Emergency and short"),
        ("11833", "DE", "Emergency and short"),
        ("555-0102", "US", "area code"),
    ],
)
def test_what_is_not_dialed_is_refused_with_the_reason(text: str, region: str, why: str) -> None:
    with pytest.raises(InvalidNumber, match=why):
        parse_number(text, region)


def test_the_toll_gate_lets_the_own_country_through() -> None:
    check_destination(THEIRS, from_number=OURS, org_country="US", allowed_countries=())


@pytest.mark.parametrize(
    ("to", "allowed", "why"),
    [
        ("+442079460000", (), "GB"),
        ("+18765550100", (), "JM"),  # shares +1, costs like abroad
        ("+19005550100", (), "premium"),
        ("+870773111632", ("001",), "satellites"),
        (OURS, (), "itself"),
    ],
)
def test_the_toll_gate_refuses(to: str, allowed: tuple[str, ...], why: str) -> None:
    with pytest.raises(TollGateRefused, match=why):
        check_destination(E164(to), from_number=OURS, org_country="US", allowed_countries=allowed)


def test_the_toll_gate_refuses_the_organizations_own_numbers() -> None:
    with pytest.raises(TollGateRefused, match="own numbers"):
        check_destination(THEIRS, from_number=OURS, org_country="US", allowed_countries=(), own_numbers={THEIRS})


def test_the_toll_gate_lets_an_allowed_country_through() -> None:
    check_destination(E164("+442079460000"), from_number=OURS, org_country="US", allowed_countries=["GB"])


@pytest.mark.parametrize(
    ("direction", "answered", "reason", "expected"),
    [
        (Direction.INBOUND, True, "CLIENT_INITIATED", (EndResult.COMPLETED, EndReason.CALLER_HUNG_UP)),
        (Direction.OUTBOUND, True, "CLIENT_INITIATED", (EndResult.COMPLETED, EndReason.CALLEE_HUNG_UP)),
        (Direction.INBOUND, True, "ROOM_DELETED", (EndResult.COMPLETED, EndReason.API_ENDED)),
        (Direction.INBOUND, True, "UNKNOWN_REASON", (EndResult.COMPLETED, EndReason.MEDIA_LOST)),
        (Direction.INBOUND, False, "CLIENT_INITIATED", (EndResult.FAILED, EndReason.NO_WORKER)),
        (Direction.INBOUND, False, "UNKNOWN_REASON", (EndResult.FAILED, EndReason.NO_WORKER)),
        (Direction.OUTBOUND, False, "USER_REJECTED", (EndResult.BUSY, EndReason.BUSY)),
        (Direction.OUTBOUND, False, "USER_UNAVAILABLE", (EndResult.NO_ANSWER, EndReason.NO_ANSWER)),
        (Direction.OUTBOUND, False, "SIP_TRUNK_FAILURE", (EndResult.FAILED, EndReason.CARRIER_ERROR)),
        (Direction.OUTBOUND, False, "ROOM_DELETED", (EndResult.CANCELED, EndReason.API_ENDED)),
    ],
)
def test_a_sip_leg_that_leaves_says_how_the_call_ended(
    direction: Direction, answered: bool, reason: str, expected: tuple[EndResult, EndReason]
) -> None:
    end = end_of_sip_leg(a_call(direction, answered=answered), room_leg(LegKind.SIP, "sip_1", reason=reason))
    assert (end.result, end.reason) == expected


def test_a_caller_who_gives_up_ringing_canceled_the_call() -> None:
    leg = room_leg(LegKind.SIP, "sip_1", reason="CLIENT_INITIATED", **{"sip.callStatus": "hangup"})
    assert end_of_sip_leg(a_call(answered=False), leg) == End(EndResult.CANCELED, EndReason.CALLER_HUNG_UP)


def test_a_leg_that_was_active_counts_as_answered_even_if_nobody_wrote_it_down() -> None:
    leg = room_leg(LegKind.SIP, "sip_1", reason="CLIENT_INITIATED", **{"sip.callStatus": "active"})
    end = end_of_sip_leg(a_call(Direction.OUTBOUND, answered=False), leg)
    assert end == End(EndResult.COMPLETED, EndReason.CALLEE_HUNG_UP)


@pytest.mark.parametrize(
    ("code", "message", "surely_not_dialed"),
    [
        ("not_found", "trunk", True),
        ("invalid_argument", "number", True),
        ("unavailable", "no response from servers", True),
        ("unavailable", "stream closed", False),
        ("deadline_exceeded", "request timed out", False),
        ("internal", "", False),
        ("unknown", "", False),
    ],
)
def test_only_an_answer_without_doubt_is_a_refused_dial(code: str, message: str, surely_not_dialed: bool) -> None:
    error = dial_error(code, message)
    assert isinstance(error, DialRefused if surely_not_dialed else DialUncertain)


@pytest.mark.parametrize(
    ("livekit_kind", "identity", "attributes", "expected"),
    [
        ("SIP", "sip_+12025550123", {}, LegKind.SIP),
        ("AGENT", "agent-AJ_1", {}, LegKind.AGENT),
        ("STANDARD", "caller", {}, LegKind.STREAM),
        ("STANDARD", "someone", {"trunkline.leg": "operator"}, LegKind.OPERATOR),
        ("STANDARD", "someone", {"trunkline.leg": "nonsense"}, LegKind.WEB),
        ("EGRESS", "EG_1", {}, None),
    ],
)
def test_a_participant_is_a_leg_of_its_kind(
    livekit_kind: str, identity: str, attributes: dict[str, str], expected: LegKind | None
) -> None:
    assert leg_kind(livekit_kind, identity, attributes) is expected


def test_an_inbound_sip_leg_says_what_was_dialed_and_a_dialed_one_is_no_arrival() -> None:
    attributes = {
        "sip.ruleID": "SDR_1",
        "sip.callID": "SCL_1",
        "sip.trunkPhoneNumber": OURS,
        "sip.phoneNumber": THEIRS,
    }
    arrival = read_sip_arrival("call-1", attributes)
    assert arrival is not None
    assert (arrival.dialed, arrival.caller, arrival.carrier_call_id) == (OURS, THEIRS, "SCL_1")
    assert read_sip_arrival("call-1", {"trunkline.call": "1"}) is None


def test_dispatch_metadata_survives_the_trip_and_empty_means_inbound() -> None:
    told = DispatchMetadata(call_id=new_id(), rescue=True)
    assert DispatchMetadata.parse(told.model_dump_json()) == told
    assert DispatchMetadata.parse("") == DispatchMetadata(call_id=None, rescue=False)
