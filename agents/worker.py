"""The worker: LiveKit sends it jobs, and every job is one call, whatever its channel.

`run_worker` is the process. `run_call` is the story of a call, the same for a SIP phone, a carrier's stream and a
browser; what differs is who opened the call and when it counts as answered.
"""

import asyncio
import contextlib
import gc
import logging
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from livekit.agents import AgentServer, AssignmentTimeoutError, AutoSubscribe, JobContext, JobExecutorType, JobRequest

from agents.answering.watching import watch_answer
from agents.course import wrap_up
from agents.course.aftermath import look_back
from agents.course.company import Company, keep_company
from agents.course.ending import Ending, watch_person, watch_room
from agents.course.opening import NobodyCame, Opened, open_call, prepare_agents
from agents.course.person import find_person, has_answered
from agents.desk import Desk, OpenCalls
from agents.evaluation.due import watch_due
from agents.floor.connecting import end_for_operator, give_to_operator
from agents.floor.screening import Screening
from agents.record.recording import Recording
from agents.record.transcript import Transcript
from agents.session import build_noise_cancellation, seat_session, start_session
from agents.speech.registry import Providers, check_providers, load_engines
from app.db import Database
from app.logs import get_logger
from app.settings import Settings
from app.tasks import Tasks
from telephony.calls import CallNotFound, DispatchMetadata
from telephony.inbound import UnknownNumber
from telephony.outbound import build_lines
from telephony.switchboard import Switchboard

log = get_logger(__name__)

LEG_SECONDS = 60.0
"""How long an agent waits in a room for the person's leg, where the call exists already."""
DRAIN_SECONDS = 2
"""How long a worker that is told to stop lets its calls come to an end by themselves."""
WARM_THREADS = 2
"""Threads that wait, with their event loop, for the next call."""


async def run_worker(settings: Settings) -> None:
    """Answer calls until SIGTERM or SIGINT. Raises ProviderNotConfigured, or RuntimeError without LiveKit."""
    check_providers(settings)
    build_noise_cancellation(settings)
    quiet_logs()
    await warm_clients(settings)
    engines = await asyncio.to_thread(load_engines)
    # What is loaded now stays: without this, every full collection looks through it and stops all calls for 0.14 s.
    gc.collect()
    gc.freeze()
    desk = Desk(settings, engines, OpenCalls(settings.worker_max_calls))
    server = build_server(desk)
    running = asyncio.create_task(server.run(), name="agent server")
    beside = Tasks("what this worker does beside its calls has ended")
    beside.keep(look_back_for_others(desk), name="evaluations")
    try:
        await _wait_for_signal(running)
    finally:
        await beside.close()
        await stop_server(server, desk)
        engines.close()
    await running


async def look_back_for_others(desk: Desk) -> None:
    """Evaluate the calls of workers that died before they did."""
    db = await connect_database(desk.settings)
    try:
        await watch_due(db, desk)
    finally:
        await db.close()


def quiet_logs() -> None:
    """LiveKit names rooms after callers, and at DEBUG writes down what was said: leave it to warnings."""
    for chatty in ("livekit", "aiohttp.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


async def warm_clients(settings: Settings) -> None:
    """See that Postgres answers, and import what the clients load on first use: a second, in the middle of a call."""
    db = await connect_database(settings)
    try:
        await (await build_lines(settings, db)).close()
    finally:
        await db.close()


def build_server(desk: Desk) -> AgentServer:
    settings = desk.settings
    server = AgentServer(
        job_executor_type=JobExecutorType.THREAD,
        # Who is full says so in `take_job`, by counting calls: a busy CPU must not leave callers ringing.
        load_threshold=float("inf"),
        load_fnc=lambda: desk.calls.load,
        num_idle_processes=WARM_THREADS,
        drain_timeout=DRAIN_SECONDS,
        shutdown_process_timeout=2.0,
        ws_url=settings.livekit_url,
        api_key=settings.livekit_api_key,
        api_secret=settings.livekit_api_secret.get_secret_value(),
        host="127.0.0.1",
        port=settings.ports.worker,
    )

    async def take_call(context: JobContext) -> None:
        try:
            await run_call(context, desk)
        finally:
            desk.calls.forget(context.job.id)

    def tell_ready(_worker_id: str, _server: Any) -> None:
        log.info("ready", calls_at_most=settings.worker_max_calls)

    server.on("worker_registered", tell_ready)
    server.rtc_session(take_call, agent_name=settings.agent_name, on_request=lambda request: take_job(request, desk))
    return server


async def take_job(request: JobRequest, desk: Desk) -> None:
    """Take the call, or refuse it at once so that LiveKit asks another worker."""
    if not desk.calls.promise(request.id):
        log.warning("call refused: this worker has as many as it takes", pii={"room": request.room.name})
        await request.reject()
        return
    try:
        await request.accept()
    except BaseException as error:
        desk.calls.forget(request.id)
        if not isinstance(error, AssignmentTimeoutError):
            raise
        log.warning("LiveKit gave the call to nobody", pii={"room": request.room.name})


async def stop_server(server: AgentServer, desk: Desk) -> None:
    with contextlib.suppress(TimeoutError):
        await server.drain()
    desk.calls.leave_all()
    await server.aclose()


async def _wait_for_signal(running: "asyncio.Task[None]") -> None:
    """Until we are told to stop, or the server stops by itself."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()


async def run_call(context: JobContext, desk: Desk) -> None:
    """One call, from the room to the last thing put away."""
    metadata = DispatchMetadata.parse(context.job.metadata)
    async with enter_room(context, desk.settings) as db:
        try:
            opened = await open_call(db, context.room, metadata)
        except UnknownNumber:
            await refuse_call(context.room.name, desk.settings)
        except (NobodyCame, CallNotFound) as error:
            log.warning("nothing to do in this room", pii={"room": context.room.name}, reason=error.detail)
        else:
            await converse(context, desk, db, opened)


@asynccontextmanager
async def enter_room(context: JobContext, settings: Settings) -> AsyncGenerator[Database]:
    """Into the room and to the database at once; out of both at the end. Nothing is published yet."""
    connecting = asyncio.create_task(connect_database(settings))
    try:
        await context.connect(auto_subscribe=AutoSubscribe.AUDIO_ONLY)
    except BaseException:
        connecting.cancel()
        raise
    db = await connecting
    try:
        yield db
    finally:
        await db.close()
        context.shutdown()


async def connect_database(settings: Settings) -> Database:
    return await Database.connect(
        settings.database_url,
        pooler=settings.database_pooler,
        min_size=1,
        max_size=3,
        application="trunkline worker",
    )


async def refuse_call(room_name: str, settings: Settings) -> None:
    """Close the room while nothing is published: LiveKit SIP then answers the INVITE with an error."""
    log.info("call refused: nothing answers at the number dialed", pii={"room": room_name})
    switchboard = await Switchboard.connect(settings)
    try:
        await switchboard.close_room(room_name)
    finally:
        await switchboard.close()


async def converse(context: JobContext, desk: Desk, db: Database, opened: Opened) -> None:
    """The conversation, however it ends."""
    room, call = context.room, opened.call
    about = {"channel": call.channel.value, "direction": call.direction.value, "rescue": opened.rescue}
    log.info("call taken", call_id=str(call.id), **about)
    ending = Ending()
    watch_room(room, ending)
    person = await find_person(room, within_seconds=LEG_SECONDS)
    if person is None:
        log.warning("the person never came", call_id=str(call.id))
        return
    watch_person(room, person, ending)
    transcript, recording = Transcript(db, call), Recording(db, call, desk.settings.recordings_dir)
    providers = Providers(desk.settings, desk.engines)
    try:
        state = prepare_agents(opened, providers, db, transcript, ending, answered=has_answered(call, person))
        running = seat_session(room, state, person, providers, desk.settings)
        try:
            transcript.listen(running.session, lambda: state.active)
            company = Company(desk, db, room, call, person, state, ending, running, transcript)
            keep_company(company)
            answering = watch_answer(db, call, state, running)
            screening = Screening(running.session) if opened.floor else None
            listeners = [one for one in (answering, screening) if one is not None]
            await start_session(running, room, state, recording, listeners)
            if opened.floor and screening:
                running.keep(give_to_operator(company, opened.floor, screening, recording), name="operator")
            with desk.calls.hold(context.job.id, ending):
                cause = await ending.wait()
            await wrap_up.end_by(db, desk.settings, call, cause)
            if opened.floor:
                await end_for_operator(db, call)
        finally:
            await running.close()
    finally:
        await wrap_up.put_away(providers, transcript, recording)
        await wrap_up.tell_end(db, call, transcript)
    # The line is free for the next call: what follows is for those who read about this one.
    desk.calls.forget(context.job.id)
    await look_back(db, desk, opened, answering)
