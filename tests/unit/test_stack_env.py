import re
from pathlib import Path

import pytest

from app.settings import Settings
from app.stack.stack_env import MADE_ONCE, decide_env, env_file, load_given, read_env, uses_twilio, write_env

POSTGRES = "postgresql://postgres:word@127.0.0.1:21002/postgres"


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable and no .env of the machine that runs the tests."""
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)
    monkeypatch.chdir(tmp_path)


def given(**variables: str) -> Settings:
    return Settings(**variables)  # type: ignore[arg-type]


def test_every_secret_is_made_and_none_is_a_default() -> None:
    first, second = (decide_env(given(), {}, POSTGRES) for _ in range(2))
    for name in MADE_ONCE:
        assert len(first[name]) >= 16
        assert first[name] != second[name]
    assert re.fullmatch(r"AC[0-9a-f]{32}", first["TWILIO_ACCOUNT_SID"])
    assert len(first["LIVEKIT_API_SECRET"]) >= 32


def test_secrets_stay_the_same_from_start_to_start() -> None:
    first = decide_env(given(), {}, POSTGRES)
    assert decide_env(given(), first, POSTGRES) == first


def test_addresses_follow_the_ports_of_this_start() -> None:
    first = decide_env(given(), {}, POSTGRES)
    moved = decide_env(given(port_base="21000"), first, POSTGRES)
    assert moved["LIVEKIT_URL"] == "ws://127.0.0.1:21004"
    assert moved["REDIS_URL"].endswith("@127.0.0.1:21003")
    assert moved["TWILIO_API_BASE_URL"] == "http://127.0.0.1:21001"
    assert moved["TRUNKLINE_PORT_BASE"] == "21000"
    assert "TRUNKLINE_PORT_BASE" not in first


def test_what_a_person_set_is_not_written() -> None:
    values = decide_env(
        given(database_url="postgresql://elsewhere/db", redis_url="redis://elsewhere", livekit_api_key="own"), {}, None
    )
    assert not {"DATABASE_URL", "REDIS_URL", "LIVEKIT_API_KEY"} & set(values)
    assert "LIVEKIT_API_SECRET" in values


def test_with_an_account_at_twilio_nothing_is_pointed_at_the_simulator() -> None:
    real = given(twilio_account_sid="AC" + "0" * 32, twilio_auth_token="real")
    values = decide_env(real, decide_env(given(), {}, POSTGRES), POSTGRES)
    assert uses_twilio(real)
    assert not [name for name in values if name.startswith("TWILIO_")]
    assert "TRUNKLINE_UNCERTAIN_GRACE_SECONDS" not in values


def test_the_file_is_for_its_owner_alone_and_reads_back(tmp_path: Path) -> None:
    values = decide_env(given(), {}, POSTGRES)
    write_env(tmp_path, values)
    assert env_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert read_env(tmp_path) == values


def test_settings_read_the_file_and_the_environment_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_env(tmp_path, decide_env(given(), {}, POSTGRES))
    monkeypatch.setenv("TRUNKLINE_HOME", str(tmp_path))
    assert Settings.load().database_url == POSTGRES
    assert Settings.load().uncertain_grace_seconds == 5
    monkeypatch.setenv("DATABASE_URL", "postgresql://mine/db")
    assert Settings.load().database_url == "postgresql://mine/db"


def test_what_earlier_starts_wrote_does_not_count_as_set_by_a_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_env(tmp_path, decide_env(given(), {}, POSTGRES))
    monkeypatch.setenv("TRUNKLINE_HOME", str(tmp_path))
    assert load_given().database_url == ""
    (tmp_path / ".env").write_text("DATABASE_URL=postgresql://dotenv/db\n")
    assert load_given().database_url == "postgresql://dotenv/db"


def test_home_of_the_environment_is_not_our_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert load_given().home == Path(".trunkline")
