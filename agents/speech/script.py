"""What the scripted model answers: a pure reading of the conversation so far against an agent's rules.

The same conversation always gives the same answer. Everything is read off LiveKit's chat context, nothing is kept:
so an interrupted, repeated or abandoned generation leaves no trace here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from livekit.agents import llm

from agents.team.definition import HANDOFF_PREFIX, AgentDefinition, Rule, TeamDefinition
from agents.team.phrases import match_any, split_words
from agents.team.templates import fill, read_result, uses_result

MAX_JOINED_TURNS = 3


@dataclass(frozen=True)
class ToolCall:
    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True)
class Reply:
    """What is said (maybe nothing), then what is called."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True)
class Exchange:
    """What the agent had said, what the person said then (as said, and joined to what they were cut off in), and
    what has happened since."""

    asked: str
    heard: str
    joined: str
    since: Sequence[llm.ChatItem] = ()
    took_over: bool = False
    """The person said it to a colleague, who handed over."""


@dataclass(frozen=True)
class Script:
    """One agent's rules, with what the call knows about the person (defaults filled in)."""

    team: TeamDefinition
    agent: AgentDefinition
    values: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def reply(self, items: Sequence[llm.ChatItem]) -> Reply:
        """What the agent says and does next in this conversation."""
        exchanges = read_exchanges(items, self.agent.name)
        if not exchanges:
            return Reply(fill(self.agent.welcome_back, self.values))
        now = exchanges[-1]
        values = {**self.values, **saved_details(items)}
        matched = find_rule(self.agent.rules, now)
        if matched is None:
            return self._reply_without_rule(exchanges, values)
        rule, captures = matched
        return self._follow(rule, now.since, {**values, **captures})

    def _reply_without_rule(self, exchanges: Sequence[Exchange], values: Mapping[str, Any]) -> Reply:
        if _has_spoken(exchanges[-1].since):
            return Reply()
        if exchanges[-1].took_over:
            return Reply(fill(self.agent.welcome_back, values))
        missed = 0
        for earlier in reversed(exchanges[:-1]):
            if earlier.took_over or find_rule(self.agent.rules, earlier) is not None:
                break
            missed += 1
        return Reply(fill(self.agent.fallback[min(missed, len(self.agent.fallback) - 1)], values))

    def _follow(self, rule: Rule, since: Sequence[llm.ChatItem], values: Mapping[str, Any]) -> Reply:
        """The next step of a rule: say and call; or, after the tool, say what it returned; then nothing."""
        called = {item.name for item in since if item.type == "function_call"}
        waits = rule.tool is not None and rule.say is not None and uses_result(rule.say)
        if not called:
            if _has_spoken(since):
                return Reply()
            return Reply("" if waits else fill(rule.say or "", values), _first_calls(rule, values, all_now=not waits))
        output = _output_of(rule.tool, since)
        if output is None or _has_spoken_after(output, since):
            return Reply()
        last = tuple(call for call in _leaving_calls(rule) if call.name not in called)
        if output.is_error:
            return Reply(fill(self.team.trouble_line, values), last)
        if waits:
            return Reply(fill(rule.say or "", {**values, "result": read_result(output.output)}), last)
        return Reply()


def find_rule(rules: Sequence[Rule], exchange: Exchange) -> tuple[Rule, dict[str, str]] | None:
    """The first rule that answers this, with what its phrase captured; tried on the last words alone, then on all
    that the person said since they were last listened to."""
    asked = split_words(exchange.asked)
    for heard in dict.fromkeys((exchange.heard, exchange.joined)):
        words = split_words(heard)
        for rule in rules:
            if rule.after and match_any(rule.after, asked) is None:
                continue
            if rule.unless and match_any(rule.unless, words) is not None:
                continue
            captures = match_any(rule.hear, words) if rule.hear else {}
            if captures is not None:
                return rule, captures
    return None


def read_exchanges(items: Sequence[llm.ChatItem], agent: str) -> list[Exchange]:
    """The conversation as turns of the person, each with what led to it and what came after; those before `agent`
    last took over are left out, but for the one that brought it."""
    exchanges: list[Exchange] = []
    turns = _split_turns(items)
    asked = _said(turns[0]) if turns else ""
    cut_off: list[str] = []
    for turn in turns[1:]:
        heard = _text(turn[0])
        taken = _last_takeover(turn, agent)
        if taken is not None:
            exchanges.clear()
        joined = " ".join([*cut_off, heard])
        since = turn[taken + 1 :] if taken is not None else turn[1:]
        exchanges.append(Exchange(asked, heard, joined, since, took_over=taken is not None))
        was_answered = any(item.type == "function_call" for item in turn) or _has_spoken(turn)
        cut_off = [] if was_answered else [*cut_off, heard][-(MAX_JOINED_TURNS - 1) :]
        asked = _said(turn) or asked
    return exchanges


def saved_details(items: Sequence[llm.ChatItem]) -> dict[str, str]:
    """What `save_details` was called with so far in this conversation."""
    details: dict[str, str] = {}
    for item in items:
        if item.type == "function_call" and item.name == "save_details":
            arguments = read_result(item.arguments)
            if isinstance(arguments, dict) and {"field", "value"} <= arguments.keys():
                details[str(arguments["field"])] = str(arguments["value"])
    return details


def _split_turns(items: Sequence[llm.ChatItem]) -> list[list[llm.ChatItem]]:
    """Cut before each thing that the person said; the first piece is what came before they spoke."""
    turns: list[list[llm.ChatItem]] = [[]]
    for item in items:
        if item.type == "message" and item.role == "user":
            turns.append([])
        turns[-1].append(item)
    return turns


def _last_takeover(turn: Sequence[llm.ChatItem], agent: str) -> int | None:
    """Where in this turn the agent was handed the call: the index of the handoff's output."""
    for index in range(len(turn) - 1, -1, -1):
        item = turn[index]
        if item.type == "function_call_output" and item.name == HANDOFF_PREFIX + agent and not item.is_error:
            return index
    return None


def _text(item: llm.ChatItem) -> str:
    return (item.text_content or "") if item.type == "message" else ""


def _said(turn: Sequence[llm.ChatItem]) -> str:
    return " ".join(_text(item) for item in turn if item.type == "message" and item.role == "assistant")


def _has_spoken(items: Sequence[llm.ChatItem]) -> bool:
    """Whether the agent was heard to the end: cut off, it may say the same again."""
    return any(item.type == "message" and item.role == "assistant" and not item.interrupted for item in items)


def _output_of(tool: str | None, since: Sequence[llm.ChatItem]) -> llm.FunctionCallOutput | None:
    outputs = [item for item in since if item.type == "function_call_output" and item.name == tool]
    return outputs[-1] if outputs else None


def _has_spoken_after(output: llm.FunctionCallOutput, since: Sequence[llm.ChatItem]) -> bool:
    return _has_spoken(since[list(since).index(output) :])


def _first_calls(rule: Rule, values: Mapping[str, Any], *, all_now: bool) -> tuple[ToolCall, ...]:
    calls: list[ToolCall] = []
    if rule.tool is not None:
        filled = {name: fill(v, values) if isinstance(v, str) else v for name, v in rule.arguments.items()}
        calls.append(ToolCall(rule.tool, filled))
    return (*calls, *_leaving_calls(rule)) if all_now else tuple(calls)


def _leaving_calls(rule: Rule) -> tuple[ToolCall, ...]:
    """The calls after which this agent has nothing more to say."""
    calls = [ToolCall(HANDOFF_PREFIX + rule.handoff, {})] if rule.handoff else []
    return (*calls, ToolCall("end_call", {})) if rule.end else tuple(calls)
