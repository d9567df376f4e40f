"""The demo's two callers: sipp by SIP, and a person of the simulated carrier over a media stream."""

import asyncio
import io
import wave
from datetime import datetime
from typing import Any

import httpx
import numpy as np

from app.console.demonstration.caller import SpokenCaller
from app.console.demonstration.stage import Demo, may_hold, sounds_like, words
from telephony.media.g711 import Samples
from telephony.simulator.phone.sip_phone import place_sip_call

GREETING = "Thank you for calling Harbor Dental. This is Rosa. How can I help you?"
SIP_CALLER, CARRIER_CALLER = "+12025550190", "+12025550191"
CARRIER_LINES = ("What are your opening hours?", "I would like to book an appointment.", "Goodbye.")
CARRIER_PERSONA = {"kind": "answers", "lines": [{"say": line} for line in CARRIER_LINES], "hangs_up": True}


async def call_by_sip(demo: Demo) -> None:
    """sipp calls our number, asks, is handed to another agent, and says goodbye."""
    info, out = demo.info, demo.console
    number = info["sip_number"]
    async with place_sip_call(info["sip_host"], info["sip_port"], number, caller=SIP_CALLER) as call:
        caller = SpokenCaller(call, demo.voice)
        greeting = await caller.hear_greeting()
        out.print(f"  [cyan]agent [/] {greeting.heard}")
        for line in ("What are your opening hours?", "I have a question about my bill."):
            out.print(f"  [yellow]caller[/] {line}")
            exchange = await caller.ask(line)
            out.print(f"  [cyan]agent [/] {exchange.heard}  [dim]({exchange.wait_seconds:.2f} s)[/]")
        out.print("  [yellow]caller[/] Goodbye.")
        farewell = await caller.ask("Goodbye.")
        out.print(f"  [cyan]agent [/] {farewell.heard}")
        await call.wait_over(10)
        assert call.answered_at is not None
        assert call.invited_at is not None
        demo.check("SIP call answered", True, f"INVITE → 200 OK in {call.answered_at - call.invited_at:.2f} s")
    said = words([exchange.heard for exchange in caller.exchanges])
    demo.check(
        "greeting heard", sounds_like(GREETING, greeting.heard), f"{greeting.wait_seconds:.2f} s after the answer"
    )
    demo.check(
        "right answer heard",
        may_hold("Monday to Friday", said),
        f"{caller.exchanges[1].wait_seconds:.2f} s after asking",
    )
    demo.check("billing answered", may_hold("billing", caller.exchanges[2].heard), "after the handoff")
    record = await find_record(demo, SIP_CALLER)
    await check_record(demo, record, handoff="billing")


async def call_by_carrier(demo: Demo) -> None:
    """The simulated carrier calls our other number over a media stream; what its caller heard is transcribed."""
    simulator = demo.info["simulator_url"]
    body = {"from": CARRIER_CALLER, "to": demo.info["carrier_number"], "persona": CARRIER_PERSONA}
    async with httpx.AsyncClient(base_url=simulator, timeout=30) as client:
        placed = (await client.post("/simulator/calls", json=body)).raise_for_status().json()
        async with asyncio.timeout(90):
            while True:
                state = (await client.get(f"/simulator/calls/{placed['sid']}")).raise_for_status().json()
                if state["status"] not in ("queued", "initiated", "ringing", "in-progress"):
                    break
                await asyncio.sleep(0.5)
        heard = read_wav((await client.get(f"/simulator/calls/{placed['sid']}/heard.wav")).raise_for_status().content)
    transcript = await demo.voice.transcribe(heard)
    demo.console.print(f"  [dim]the caller said[/]  {' / '.join(CARRIER_LINES)}")
    demo.console.print(f"  [dim]the caller heard[/] {transcript}")
    said = words([transcript])
    first = " ".join(said.split()[: len(GREETING.split())])
    demo.check("greeting heard over the stream", sounds_like(GREETING, first), "in the audio that came back")
    demo.check("right answer heard over the stream", may_hold("Monday to Friday", said), "transcribed")
    record = await find_record(demo, CARRIER_CALLER)
    await check_record(demo, record, handoff="scheduling")


async def find_record(demo: Demo, caller: str) -> dict[str, Any]:
    """The call of this run from that number, once it has ended."""
    async with asyncio.timeout(15):
        while True:
            page = (await demo.api.get("/api/v1/calls", params={"direction": "inbound"})).raise_for_status().json()
            for call in page["data"]:
                begun = datetime.fromisoformat(call["created_at"])
                if call["from_number"] == caller and call["ended_at"] and begun >= demo.began:
                    return call
            await asyncio.sleep(0.3)


async def check_record(demo: Demo, call: dict[str, Any], *, handoff: str) -> None:
    """What the api says of the call: its turns, the handoff and the recording."""
    events = (await demo.api.get(f"/api/v1/calls/{call['id']}/events")).raise_for_status().json()["data"]
    turns = (await demo.api.get(f"/api/v1/calls/{call['id']}/turns")).raise_for_status().json()["data"]
    handed = [event["data"].get("to") for event in events if event["kind"] == "handoff.made"]
    demo.check("handoff", handoff in handed, f"{' → '.join(['reception', *handed])}, {len(turns)} turns stored")
    recording = await fetch_recording(demo, call["id"])
    demo.check("recording", bool(recording), f"{len(recording) / 1e6:.1f} MB, two channels")


async def fetch_recording(demo: Demo, call_id: str) -> bytes:
    """The WAV, which is put away a moment after the call has ended; empty if it never comes."""
    for _ in range(20):
        recording = await demo.api.get(f"/api/v1/calls/{call_id}/recording")
        if recording.status_code == 200:
            return recording.content
        await asyncio.sleep(0.5)
    return b""


def read_wav(content: bytes) -> Samples:
    with wave.open(io.BytesIO(content)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), np.int16)
