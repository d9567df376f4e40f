"""`.trunkline/stack.env` (0600): the secrets made on first start, and where the embedded parts listen.

What a person set, in the environment or in `.env`, always wins: such a variable is not written, and Settings reads
the environment and `.env` over this file anyway.
"""

import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from dotenv import dotenv_values

from app.settings import Settings

MADE_ONCE: Mapping[str, Callable[[], str]] = {
    "TRUNKLINE_SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "LIVEKIT_API_KEY": lambda: f"API{secrets.token_hex(8)}",
    "LIVEKIT_API_SECRET": lambda: secrets.token_urlsafe(36),
    "SUPABASE_JWT_SECRET": lambda: secrets.token_urlsafe(48),
    # The simulator's account; the form is Twilio's, because its SDK checks nothing but people do.
    "TWILIO_ACCOUNT_SID": lambda: f"AC{secrets.token_hex(16)}",
    "TWILIO_AUTH_TOKEN": lambda: secrets.token_hex(16),
    "TRUNKLINE_REDIS_PASSWORD": lambda: secrets.token_urlsafe(24),
}


def load_given() -> Settings:
    """Only what a person set: the environment and `.env`, without what earlier starts wrote. Raises InvalidSettings."""
    return Settings.read(Path(".env"))


def env_file(home: Path) -> Path:
    return home / "stack.env"


def read_env(home: Path) -> dict[str, str]:
    return {name: value for name, value in dotenv_values(env_file(home)).items() if value is not None}


def decide_env(given: Settings, former: Mapping[str, str], postgres_url: str | None) -> dict[str, str]:
    """What the file shall hold. Secrets stay as they were; addresses follow this start. Pure but for new secrets.

    `postgres_url` is None where the person's DATABASE_URL is used.
    """
    values = {name: former.get(name) or make() for name, make in MADE_ONCE.items()}
    if uses_twilio(given):
        del values["TWILIO_ACCOUNT_SID"], values["TWILIO_AUTH_TOKEN"]
    elif not given.twilio_api_base_url:
        values["TWILIO_API_BASE_URL"] = f"http://127.0.0.1:{given.ports.simulator}"
    if postgres_url is not None:
        values["DATABASE_URL"] = postgres_url
    if not given.livekit_url:
        values["LIVEKIT_URL"] = f"ws://127.0.0.1:{given.ports.livekit}"
    if not given.redis_url:
        password = values["TRUNKLINE_REDIS_PASSWORD"]
        values["REDIS_URL"] = f"redis://:{password}@127.0.0.1:{given.ports.redis}"
    if not uses_twilio(given):
        # The simulator's list of calls is right at once; Twilio's takes a while.
        values["TRUNKLINE_UNCERTAIN_GRACE_SECONDS"] = "5"
    given_names = _names_given(given)
    values = {name: value for name, value in values.items() if name not in given_names}
    if given.port_base is not None:
        # Commands of this folder find the ports without the variable.
        values["TRUNKLINE_PORT_BASE"] = str(given.port_base)
    return values


def uses_twilio(given: Settings) -> bool:
    """Whether a person set Twilio's own account: then nothing is pointed at the simulator."""
    return bool(given.twilio_account_sid) and not given.twilio_api_base_url


def write_env(home: Path, values: Mapping[str, str]) -> None:
    """Replace the file in one step, readable by nobody else."""
    fresh = home / ".stack.env.new"
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write("# Written by `trunkline up`. Your own values belong in the environment or in .env; they win.\n")
        out.writelines(f"{name}={value}\n" for name, value in values.items())
    fresh.replace(env_file(home))


def _names_given(given: Settings) -> set[str]:
    """The environment names of the settings that a person set to something."""
    names: set[str] = set()
    for field in given.model_fields_set:
        alias = Settings.model_fields[field].validation_alias
        if isinstance(alias, str) and getattr(given, field):
            names.add(alias)
    return names
