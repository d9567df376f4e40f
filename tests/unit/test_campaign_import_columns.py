"""What the columns of a contacts file are taken for."""

import pytest

from campaigns.imports.columns import ColumnWishes, NoPhoneColumn, map_columns, warn_of_missing


def test_the_contacts_name_is_a_fact_also_where_the_teams_texts_use_it() -> None:
    columns = map_columns(["Phone", "Customer", "Visit"], needed=["name", "visit"])
    assert columns.facts == {"name": 1}
    assert columns.variables == {"visit": 2}
    assert warn_of_missing(columns, {"name": "", "visit": ""}) == []


def test_a_column_that_the_teams_texts_ask_for_by_its_name_stays_a_variable() -> None:
    columns = map_columns(["phone", "firstname", "lead source"], needed=["firstname", "lead_source"])
    assert columns.facts == {}
    assert columns.variables == {"firstname": 1, "lead_source": 2}


def test_what_was_said_of_a_column_holds_whatever_the_team_asks_for() -> None:
    wishes = ColumnWishes(columns={"name": "Who", "firstname": "Name"})
    columns = map_columns(["phone", "Who", "Name"], wishes=wishes, needed=["name", "firstname"])
    assert (columns.facts, columns.variables) == ({"name": 1}, {"firstname": 2})


def test_a_column_of_numbers_that_was_mapped_to_something_else_is_named() -> None:
    with pytest.raises(NoPhoneColumn, match='"phone" was mapped to bogus; map it to phone'):
        map_columns(["phone", "name"], wishes=ColumnWishes(columns={"bogus": "phone"}))
