"""docs/campaigns.md names commands, options, events and files that exist."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from app.console.callees.contacts import contacts
from app.console.callees.do_not_call import dnc
from app.console.campaigns.commands import campaign
from app.console.operators import operators
from app.console.webhooks import webhooks
from campaigns.lifecycle.settings import MODELS
from campaigns.outcomes.events import CampaignEventKind
from campaigns.rules.dispositions import Disposition

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/campaigns.md").read_text()
GROUPS = {"campaign": campaign, "contacts": contacts, "dnc": dnc, "webhooks": webhooks, "operators": operators}


def command_lines() -> list[str]:
    """Every `trunkline …` of the page's blocks, without what is said about it."""
    text = PAGE.replace("\\\n", " ")
    lines = re.findall(r"^    (trunkline .*)$", text, re.MULTILINE)
    return [re.sub(r"\s+#.*$", "", line) for line in lines]


@pytest.mark.parametrize("line", command_lines())
def test_every_command_of_the_page_exists_with_its_options(line: str) -> None:
    _, group, *words = shlex.split(line)
    command: Any = get_command(GROUPS[group])
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    options = {name for parameter in command.params for name in parameter.opts}
    named = [word for word in words if word.startswith("--")]
    assert set(named) <= options, line


def test_the_page_has_commands_to_look_at() -> None:
    assert len(command_lines()) > 20


def test_every_setting_and_disposition_has_its_place_on_the_page() -> None:
    for name in (*MODELS, *Disposition):
        assert f"`{name}`" in PAGE, name


def test_every_file_and_event_of_the_page_exists() -> None:
    for path in re.findall(r"`(campaigns/[a-z_/]+\.py)`", PAGE):
        assert (ROOT / path).is_file(), path
    for link in re.findall(r"\]\(([a-z0-9/-]+\.md)\)", PAGE):
        assert (ROOT / "docs" / link).is_file(), link
    kinds = set(CampaignEventKind)
    for kind in re.findall(r"`((?:attempt|contact|campaign)\.[a-z]+)`", PAGE):
        assert kind in kinds, kind
