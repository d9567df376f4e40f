"""The house keeps its own rules, and the files around the code say the same as the code."""

import re
from collections import Counter
from pathlib import Path

import yaml
from typer.main import get_command

from app import cli
from app.settings import Ports, Settings

ROOT = Path(__file__).resolve().parents[2]
OTHERS_PARTS = {"postgres", "redis", "livekit", "sip"}
COMPOSE_ONLY = {"POSTGRES_PASSWORD"}


PACKAGES = ("app", "telephony", "agents", "campaigns")


def modules() -> list[Path]:
    """Every file of the product that is not an empty `__init__.py`."""
    found = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    return [file for file in found if file.name != "__init__.py"]


def test_no_folder_has_a_thirteenth_file() -> None:
    counts = Counter(str(file.parent.relative_to(ROOT)) for file in modules())
    assert {folder: count for folder, count in counts.items() if count > 12} == {}, "look for the missing noun"


def test_no_file_is_longer_than_300_lines() -> None:
    lengths = {str(file.relative_to(ROOT)): len(file.read_text().splitlines()) for file in modules()}
    assert {file: length for file, length in lengths.items() if length > 300} == {}, "look for the noun to split by"


def test_packages_are_made_of_their_files_and_of_nothing_in_their_init() -> None:
    inits = [file for package in PACKAGES for file in (ROOT / package).rglob("__init__.py")]
    assert [str(file) for file in inits if file.stat().st_size] == []


def environment_names() -> set[str]:
    return {str(field.validation_alias) for field in Settings.model_fields.values() if field.validation_alias} | {
        name.upper() for name, field in Settings.model_fields.items() if not field.validation_alias
    }


def test_every_service_of_the_compose_file_runs_a_command_that_exists() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    commands = set(get_command(cli.app).commands)  # type: ignore[attr-defined]
    ours = {name: service["command"] for name, service in services.items() if name not in OTHERS_PARTS}
    assert {"api", "worker", "dialer", "simulator"} <= set(ours)
    for name, command in ours.items():
        assert command[0] == "trunkline", name
        assert command[1] in commands, name


def test_the_compose_file_sets_only_settings_that_exist() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    compose = yaml.safe_load(text)
    ours = [service for name, service in compose["services"].items() if name not in OTHERS_PARTS]
    set_for_us = set().union(*(service["environment"] for service in (compose["x-trunkline"], *ours)))
    asked_for = set(re.findall(r"\$\{([A-Z_]+)", text))
    assert set_for_us <= environment_names()
    assert asked_for - COMPOSE_ONLY <= environment_names()


def test_the_simulator_of_the_compose_file_can_be_reached_where_the_comment_says() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    simulator = yaml.safe_load(text)["services"]["simulator"]
    assert simulator["environment"]["TRUNKLINE_SIMULATOR_HOST"] == "0.0.0.0"  # inside the container
    assert f"TWILIO_API_BASE_URL=http://simulator:{Ports(None).simulator}" in text
    assert Settings().simulator_host == "127.0.0.1"


def test_the_image_holds_no_secrets_and_no_data() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert {".env", ".trunkline*", ".git", ".venv"} <= set(ignored)


def test_the_compose_file_pins_the_livekit_versions_of_the_go_module() -> None:
    module = (ROOT / "deploy/livekit/go.mod").read_text()
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for service, path in (("livekit", "livekit-server"), ("sip", "sip")):
        pinned = re.search(rf"github\.com/livekit/{path} (v\S+)", module)
        assert pinned is not None
        assert services[service]["image"].endswith(f":{pinned[1]}")


def test_the_example_environment_names_every_setting_and_no_other() -> None:
    named = set(re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", (ROOT / ".env.example").read_text(), re.M))
    assert named == environment_names()


def test_dependencies_are_locked_by_hash_and_name_no_host() -> None:
    for name in ("requirements.txt", "requirements-dev.txt", "requirements-bootstrap.txt"):
        text = (ROOT / name).read_text()
        assert "://" not in text, name
        assert "index-url" not in text, name
        requirements = re.split(r"\n(?=[A-Za-z0-9])", text.strip())
        assert all("--hash=sha256:" in requirement for requirement in requirements), name
