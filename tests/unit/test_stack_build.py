import os
from pathlib import Path

import pytest
import yaml

from app.settings import Settings
from app.stack.livekit.build import LiveKitPrograms, Program, find_built, module_hash, read_go_version, stamp_file
from app.stack.livekit.configs import livekit_config, redis_config, sip_config
from app.stack.livekit.packages import REQUIREMENTS, install_argv
from app.stack.own_processes import plan_processes
from app.stack.parts import clear_stale_pid, hide_credentials, plan_foundation
from app.stack.processes.part import PartOff


@pytest.mark.parametrize(
    ("told", "version"),
    [("go version go1.26.8 linux/amd64", (1, 26)), ("go version go1.27rc1 darwin/arm64", (1, 27)), ("", (0, 0))],
)
def test_the_version_of_go_is_read(told: str, version: tuple[int, int]) -> None:
    assert read_go_version(told) == version


def test_a_program_built_from_another_module_is_not_used(tmp_path: Path) -> None:
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module x\n")
    (module / "go.sum").write_text("")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "server").touch()
    assert find_built(tmp_path, Program.SERVER, module) is None
    stamp_file(tmp_path, Program.SERVER).write_text(module_hash(module))
    assert find_built(tmp_path, Program.SERVER, module) == tmp_path / "bin" / "server"
    (module / "go.sum").write_text("another version\n")
    assert find_built(tmp_path, Program.SERVER, module) is None


async def test_without_its_libraries_sip_is_off_with_the_command_to_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    programs = LiveKitPrograms(tmp_path, tmp_path / "build.log", lambda _: None)
    with pytest.raises(PartOff, match=r"gcc, pkg-config, opus, .* missing. Mend: .*apt-get install -y gcc"):
        await programs.find(Program.SIP)


async def test_a_program_on_path_is_taken_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "livekit-server"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    programs = LiveKitPrograms(tmp_path, tmp_path / "build.log", lambda _: None)
    assert await programs.find(Program.SERVER) == program


def test_the_install_command_is_exact_for_each_package_manager() -> None:
    assert install_argv(REQUIREMENTS, "apt-get", root=False) == (
        ["sudo", "apt-get", "install", "-y", "gcc", "pkg-config", "libopus-dev", "libopusfile-dev", "libsoxr-dev"]
    )
    assert install_argv(REQUIREMENTS[2:3], "dnf", root=True) == ["dnf", "install", "-y", "opus-devel"]
    assert install_argv(REQUIREMENTS[2:3], "brew", root=False) == ["brew", "install", "opus"]
    assert install_argv(REQUIREMENTS[2:3], None, root=True) == ["apt-get", "install", "-y", "libopus-dev"]


def embedded() -> Settings:
    return Settings(
        port_base=21000,
        livekit_url="ws://127.0.0.1:21004",
        livekit_api_key="APIkey",
        livekit_api_secret="s" * 40,  # type: ignore[arg-type]
        redis_url="redis://:word@127.0.0.1:21003",
    )


def test_everything_that_is_configured_listens_on_loopback_alone() -> None:
    livekit, sip = yaml.safe_load(livekit_config(embedded())), yaml.safe_load(sip_config(embedded()))
    assert livekit["bind_addresses"] == ["127.0.0.1"]
    assert livekit["rtc"]["interfaces"] == {"includes": ["lo"]}
    assert livekit["rtc"]["tcp_port"] == 0
    assert sip["listen_ip"] == sip["nat_1_to_1_ip"] == "127.0.0.1"
    assert "bind 127.0.0.1\n" in redis_config(embedded(), "/home")


def test_livekit_tells_the_api_what_happens_in_rooms() -> None:
    config = yaml.safe_load(livekit_config(embedded()))
    assert config["webhook"] == {"api_key": "APIkey", "urls": ["http://127.0.0.1:21000/webhooks/livekit"]}
    assert config["redis"] == {"address": "127.0.0.1:21003", "password": "word"}


def test_a_part_with_its_url_set_is_not_started() -> None:
    given = Settings(
        database_url="postgresql://u:p@db/x", livekit_url="wss://cloud", twilio_account_sid="AC" + "0" * 32
    )
    parts = {part.name: part for part in plan_foundation(given, given, None, None)}  # type: ignore[arg-type]
    parts |= {part.name: part for part in plan_processes(given, given)}
    assert all(parts[name].prepare is None for name in ("postgres", "redis", "livekit", "sip", "simulator"))
    assert {name for name, part in parts.items() if part.off} == {"redis", "sip", "simulator"}
    assert parts["postgres"].endpoint == "postgresql://db/x"
    assert all(parts[name].prepare for name in ("api", "worker", "dialer"))


def test_passwords_are_not_shown() -> None:
    assert hide_credentials("redis://:word@127.0.0.1:1") == "redis://127.0.0.1:1"
    assert hide_credentials("redis://127.0.0.1:1") == "redis://127.0.0.1:1"


def test_the_pid_file_of_a_killed_postgres_does_not_keep_the_next_from_starting(tmp_path: Path) -> None:
    file = tmp_path / "postmaster.pid"
    clear_stale_pid(tmp_path)
    file.write_text(f"{os.getpid()}\n{tmp_path}\n")  # the pid is in use again, by something that is no Postgres
    clear_stale_pid(tmp_path)
    assert not file.exists()
