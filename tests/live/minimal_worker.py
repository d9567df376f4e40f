"""The smallest worker that can hold a call: run as a process of its own, so that a test may kill it.

Settings come from the environment, like those of `trunkline worker`. It opens the call, plays silence, beats, and
leaves when the room closes. A call to an unknown number is refused by closing its room.
"""

import asyncio
import logging

from livekit import rtc
from livekit.agents import AgentServer, JobContext, JobExecutorType

from app.db import Database
from app.settings import Settings
from telephony.calls import CallStatus, Direction, DispatchMetadata, load_call, mark_answered
from telephony.inbound import UnknownNumber, answer_inbound, read_sip_arrival
from telephony.legs import BEAT_SECONDS, beat_agent
from telephony.switchboard import Switchboard
from telephony.watch.sip_progress import note_sip_status


async def hold_call(context: JobContext) -> None:
    settings = Settings.load()
    db = await Database.connect(settings.database_url, max_size=2)
    switchboard = await Switchboard.connect(settings)
    try:
        await context.connect()
        caller = await context.wait_for_participant(kind=rtc.ParticipantKind.PARTICIPANT_KIND_SIP)
        try:
            call = await open_call(db, context, caller)
        except UnknownNumber:
            await switchboard.close_room(context.room.name)
            return
        identity = context.room.local_participant.identity
        await beat_agent(db, call.id, identity=identity)
        source = rtc.AudioSource(48000, 1)
        await context.room.local_participant.publish_track(rtc.LocalAudioTrack.create_audio_track("silence", source))
        if call.direction is Direction.INBOUND:
            await mark_answered(db, call.id)
        while context.room.isconnected() and await beat_agent(db, call.id, identity=identity):
            await note_sip_status(db, call, caller.attributes.get("sip.callStatus", ""))
            await asyncio.sleep(BEAT_SECONDS / 4 if call.status is CallStatus.QUEUED else BEAT_SECONDS)
    finally:
        await switchboard.close()
        await db.close()
        context.shutdown()


async def open_call(db: Database, context: JobContext, caller: rtc.RemoteParticipant):
    metadata = DispatchMetadata.parse(context.job.metadata)
    if metadata.call_id:
        return await load_call(db, metadata.call_id)
    arrival = read_sip_arrival(context.room.name, caller.attributes)
    assert arrival is not None
    return await answer_inbound(db, arrival)


async def main() -> None:
    logging.basicConfig(level=logging.INFO)
    settings = Settings.load()
    server = AgentServer(
        job_executor_type=JobExecutorType.THREAD,
        num_idle_processes=1,
        load_fnc=lambda: 0.0,
        host="127.0.0.1",
        port=0,
        ws_url=settings.livekit_url,
        api_key=settings.livekit_api_key,
        api_secret=settings.livekit_api_secret.get_secret_value(),
    )
    server.rtc_session(hold_call, agent_name=settings.agent_name)
    await server.run()


if __name__ == "__main__":
    asyncio.run(main())
