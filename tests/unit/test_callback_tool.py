"""The tool with which an agent notes a callback."""

from datetime import UTC, datetime

import pytest

from agents.team.parse import parse_team
from agents.tools import schedule_callback
from tests.unit.conversations import talk_to

NOON = datetime(2026, 11, 20, 17, tzinfo=UTC)  # in New York
TEAM = parse_team(
    "name: One\nslug: one\nentry: solo\nagents:\n  - name: solo\n    instructions: Help.\n    greeting: Hello.\n"
    "    tools: [schedule_callback]\n    rules:\n"
    "      - hear: [later]\n        say: Fine.\n        tool: schedule_callback\n        "
    "arguments: {when: tomorrow at three}\n"
    "      - hear: [soon]\n        say: Fine.\n        tool: schedule_callback\n        "
    "arguments: {when: in two hours}\n"
    "      - hear: [maybe]\n        say: Fine.\n        tool: schedule_callback\n        arguments: {when: whenever}\n"
)


@pytest.fixture(autouse=True)
def noon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedule_callback, "utc_now", lambda: NOON)


async def test_the_callback_is_noted_as_an_instant_and_in_the_persons_words() -> None:
    async with talk_to(TEAM) as talk:
        talk.state.zone = "America/New_York"
        talk.state.details["reason"] = "pain"
        turn = await talk.say("Call me later.")
        assert turn.results == {"schedule_callback": "Noted: Saturday, November 21, at 3:00 PM."}
    assert talk.hints == [
        {
            "disposition": "callback",
            "details": {
                "reason": "pain",
                "callback_at": "2026-11-21T20:00:00+00:00",
                "callback_text": "tomorrow at three",
            },
        }
    ]


async def test_without_a_zone_only_a_delay_is_noted() -> None:
    async with talk_to(TEAM) as talk:
        refused = (await talk.say("Call me later.")).results["schedule_callback"]
        assert "Nobody knows where the person is" in refused
        await talk.say("Call me soon.")
    [hint] = talk.hints
    assert hint["details"]["callback_at"] == "2026-11-20T19:00:00+00:00"


async def test_words_that_name_no_time_are_asked_for_again() -> None:
    async with talk_to(TEAM) as talk:
        talk.state.zone = "America/New_York"
        refused = (await talk.say("Well, maybe.")).results["schedule_callback"]
        assert "Ask for a day and a time" in refused
    assert talk.hints == []


async def test_who_asked_never_to_be_called_again_gets_no_callback_and_the_agent_is_told() -> None:
    async with talk_to(TEAM) as talk:
        talk.state.zone, talk.notes_count = "America/New_York", False
        told = (await talk.say("Call me later.")).results["schedule_callback"]
        assert told == "Not noted: they asked never to be called again, so nobody will call them."
        assert talk.state.details == {}
