"""What a preflight says of what it read."""

from typing import Any

from campaigns.lifecycle.checks import Level, check_variables


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
