"""The rules around people who take calls: whom an idle person counts for, what the message says."""

from agents.team.parse import parse_team
from app.ids import CampaignId, new_id
from campaigns.rules.dispositions import Disposition, decide_disposition
from campaigns.rules.pace.people import Demand, share_idle
from telephony.calls import End, EndReason, EndResult
from telephony.floor.message import ABANDON_MESSAGE, fill_message, speak_number
from tests.unit.conversations import talk_to

ONE, OTHER = CampaignId(new_id()), CampaignId(new_id())


def test_each_idle_person_counts_for_one_campaign() -> None:
    given = share_idle([None] * 5, [Demand(ONE), Demand(OTHER)])
    assert sorted(given.values()) == [2, 3]


def test_calls_under_way_come_before_new_ones_whatever_the_priority() -> None:
    given = share_idle([None] * 3, [Demand(ONE, coming=2), Demand(OTHER, priority=9)])
    assert given == {ONE: 2, OTHER: 1}


def test_of_campaigns_that_could_dial_the_highest_priority_has_all_and_equals_share() -> None:
    assert share_idle([None] * 4, [Demand(ONE), Demand(OTHER, priority=1)]) == {ONE: 0, OTHER: 4}
    assert share_idle([None] * 4, [Demand(ONE, share=3.0), Demand(OTHER, share=1.0)]) == {ONE: 3, OTHER: 1}
    assert share_idle([None] * 4, [Demand(ONE, wants=False), Demand(OTHER)]) == {ONE: 0, OTHER: 4}


def test_who_takes_few_campaigns_is_placed_first_and_nobody_where_none_of_theirs_dials() -> None:
    only_one = frozenset({ONE})
    assert share_idle([None, only_one], [Demand(ONE, coming=1), Demand(OTHER)]) == {ONE: 1, OTHER: 1}
    assert share_idle([frozenset({CampaignId(new_id())})], [Demand(ONE)]) == {ONE: 0}


def test_a_call_that_no_operator_took_is_abandoned_whatever_codes_name_it() -> None:
    nobody = End(EndResult.COMPLETED, EndReason.NO_OPERATOR)
    assert decide_disposition(nobody, {}, answered=True) == Disposition.ABANDONED


def test_the_message_names_who_called_and_a_number_that_a_voice_reads_well() -> None:
    told = fill_message(ABANDON_MESSAGE, organization="Harbor Dental", from_number="+12025550101")
    assert told.startswith("Hello, this was Harbor Dental.")
    assert "1, 2 0 2, 5 5 5, 0 1 0 1" in told
    assert speak_number("+442079460123") == "4 4, 2 0, 7 9 4 6, 0 1 2 3"
    assert fill_message("{x} {organization}", organization="{from_number}", from_number=None) == "{x} {from_number}"


async def test_agents_of_a_call_that_people_take_say_nothing_by_themselves() -> None:
    team = parse_team(
        "name: One\nslug: one\nentry: solo\nagents:\n  - name: solo\n    instructions: Help.\n    greeting: Hello.\n"
        "    rules:\n      - hear: [hello]\n        say: Good day.\n"
    )
    async with talk_to(team, answered=False, silent=True) as talk:
        assert (await talk.say("hello")).said == []
    async with talk_to(team) as talk:
        assert (await talk.say("hello")).said == ["Good day."]
