"""What a preflight says of what it read."""

from types import SimpleNamespace
from typing import Any

import pytest

from campaigns.gates.policy import OnFailure, SuppressionRule
from campaigns.lifecycle.checks import Level, check_mode, check_suppression, check_variables
from campaigns.lifecycle.settings import InvalidSettings, check_settings
from campaigns.rules.pacing import Mode


def contact(name: str | None = None, time_zone: str | None = None, **variables: str) -> Any:
    return {"name": name, "time_zone": time_zone, "variables": variables}


def test_what_the_team_speaks_of_and_contacts_lack_is_counted() -> None:
    found = check_variables(
        {"visit": "", "plan": "the usual one"}, [contact(visit="Monday"), contact(), contact(visit="")]
    )
    assert found.level is Level.WARNING
    assert found.detail.endswith("visit (2 of 3)")


def test_a_contacts_own_name_and_zone_are_what_the_team_speaks_of() -> None:
    known = contact("Ada", "Europe/Berlin")
    listed = contact(name=None, time_zone=None) | {"variables": {"name": "Bo", "time_zone": "Asia/Kolkata"}}
    assert check_variables({"name": "", "time_zone": ""}, [known, listed]).level is Level.OK
    nobody = check_variables({"name": "", "time_zone": ""}, [known, contact()])
    assert nobody.detail.endswith("name (1 of 2), time_zone (1 of 2)")


def test_whether_anybody_takes_the_calls_of_a_peoples_campaign_is_counted() -> None:
    def told(mode: Mode, there: int, known: int) -> tuple[Level, str]:
        campaign: Any = SimpleNamespace(mode=mode)
        check = check_mode(campaign, there, known)
        return check.level, check.detail

    assert told(Mode.AI, 0, 0)[0] is Level.OK
    assert told(Mode.PREDICTIVE, 2, 3) == (Level.OK, "predictive: 2 of its 3 operators are there")
    absent, nobody = told(Mode.PROGRESSIVE, 0, 3), told(Mode.PROGRESSIVE, 0, 0)
    assert absent[0] is nobody[0] is Level.WARNING
    assert ("none of its 3" in absent[1], "no operators" in nobody[1]) == (True, True)


@pytest.mark.parametrize("url", ["https://", "https:///path", "http://vetoes.example.com/", "https://10.0.0.7/vetoes"])
def test_an_address_that_can_veto_nothing_is_refused_and_found_where_it_is_stored(url: str) -> None:
    with pytest.raises(InvalidSettings) as refused:
        check_settings({"suppression": {"url": url}})
    assert [fault["path"] for fault in refused.value.extra["errors"]] == ["body.suppression.url"]
    assert [check.level for check in check_suppression(SuppressionRule(url=url))] == [Level.ERROR]
    allowed = SuppressionRule(url=url, on_failure=OnFailure.ALLOW)
    assert [check.level for check in check_suppression(allowed)] == [Level.WARNING]


@pytest.mark.parametrize("url", [None, "https://vetoes.example.com/ask", "http://127.0.0.1:9999/ask"])
def test_an_address_that_can_be_asked_for_vetoes_is_nothing_to_tell(url: str | None) -> None:
    assert check_settings({"suppression": {"url": url}}) == {"suppression": {"url": url}}
    assert check_suppression(SuppressionRule(url=url)) == []
