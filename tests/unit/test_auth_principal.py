"""Roles, scopes, keys and cursors, without a database."""

from datetime import UTC, datetime
from itertools import pairwise
from uuid import uuid4

import pytest

from app.api.wire.event_stream import FeedCursor
from app.api.wire.pages import read_cursor, read_number_cursor, write_cursor, write_number_cursor
from app.auth.keys import hash_key, key_prefix, new_key
from app.auth.principal import ROLE_SCOPES, Forbidden, Principal, Role, Scope
from app.errors import InvalidInput
from app.ids import ApiKeyId, OrgId, UserId


def principal(role: Role, *scopes: Scope, by_key: bool = True) -> Principal:
    key, user = (ApiKeyId(uuid4()), None) if by_key else (None, UserId(uuid4()))
    return Principal(OrgId(uuid4()), user, key, frozenset(scopes), role)


def test_each_role_may_all_that_the_lower_ones_may() -> None:
    assert set(ROLE_SCOPES) == set(Role)
    for lower, higher in pairwise(Role):
        assert ROLE_SCOPES[lower] <= ROLE_SCOPES[higher]
    assert ROLE_SCOPES[Role.OWNER] == frozenset(Scope)


def test_the_database_is_told_of_a_user_or_of_a_key_and_nothing_else() -> None:
    by_key, by_user = principal(Role.VIEWER), principal(Role.VIEWER, by_key=False)
    assert by_key.claims() == {"role": "authenticated", "api_key_id": str(by_key.api_key_id)}
    assert by_user.claims() == {"role": "authenticated", "sub": str(by_user.user_id)}


def test_a_refusal_says_whether_the_role_or_the_key_is_too_narrow() -> None:
    principal(Role.VIEWER, Scope.CALLS_READ).demand(Scope.CALLS_READ)
    with pytest.raises(Forbidden, match="role viewer has no scope calls:write"):
        principal(Role.VIEWER, by_key=False).demand(Scope.CALLS_WRITE)
    with pytest.raises(Forbidden, match="made without the scope calls:write"):
        principal(Role.OPERATOR).demand(Scope.CALLS_WRITE)
    with pytest.raises(Forbidden, match="has the role viewer, which has no scope calls:write"):
        principal(Role.VIEWER).demand(Scope.CALLS_WRITE)


@pytest.mark.parametrize("role", Role)
def test_a_least_role_is_met_by_itself_and_higher_ones(role: Role) -> None:
    roles = list(Role)
    for least in Role:
        if roles.index(role) >= roles.index(least):
            principal(role).demand_role(least)
        else:
            with pytest.raises(Forbidden, match=least):
                principal(role).demand_role(least)


def test_keys_are_long_never_alike_and_show_only_their_beginning() -> None:
    keys = {new_key() for _ in range(1000)}
    assert len(keys) == 1000
    for key in keys:
        assert len(key) == 43
        assert key.startswith(key_prefix(key))
        assert len(key_prefix(key)) == 9
    assert len({hash_key(key) for key in keys}) == 1000
    assert all(len(hash_key(key)) == 32 for key in keys)


def test_a_cursor_is_read_as_it_was_written() -> None:
    position = (datetime(2026, 11, 20, 17, 39, 1, 123456, UTC), uuid4())
    assert read_cursor(write_cursor(position)) == position
    assert read_cursor(None) is None
    assert read_number_cursor(write_number_cursor(3187)) == 3187
    assert read_number_cursor(None) == 0
    assert FeedCursor.parse(str(FeedCursor(74210, 3187))) == FeedCursor(74210, 3187)


@pytest.mark.parametrize(
    "cursor",
    ["", "x", "====", "é", write_number_cursor(1), write_number_cursor(-1), write_number_cursor(2**63)],
)
def test_a_cursor_that_was_never_given_out_is_refused(cursor: str) -> None:
    with pytest.raises(InvalidInput):
        read_cursor(cursor)
    if cursor != write_number_cursor(1):
        with pytest.raises(InvalidInput):
            read_number_cursor(cursor)


def test_feed_cursors_are_ordered_by_transaction_then_event() -> None:
    assert FeedCursor(9, 5) < FeedCursor(10, 1) < FeedCursor(10, 2) < FeedCursor.before(11)
    assert FeedCursor.before(0) == FeedCursor(0, 2**63 - 1)
