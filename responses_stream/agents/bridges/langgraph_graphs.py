"""A turn of a graph: where it goes on from, what it says while it runs, and what it leaves.

Without a checkpointer the graph is given all messages anew, and the session has what became of them. With one the graph
is given what is new, at the checkpoint that the session names.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import attrs
from langchain_core.messages import BaseMessage, SystemMessage, ToolMessage
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.errors import GraphRecursionError
from langgraph.pregel.protocol import PregelProtocol
from langgraph.types import Command, Interrupt

from responses_stream.agents.bridges.apart import apart
from responses_stream.agents.bridges.asked import functions_of, instructions_of, wants_sealed
from responses_stream.agents.bridges.langgraph_events import Translation
from responses_stream.agents.bridges.langgraph_input import (
    answered,
    answers_of,
    loaded,
    messages_of,
    open_calls,
    saved,
    settings_of,
)
from responses_stream.agents.bridges.langgraph_memory import Answers, Memory, Question, forked, new_thread
from responses_stream.agents.bridges.langgraph_models import config_of
from responses_stream.agents.contents import Content, Incomplete, Said, Update
from responses_stream.agents.rendering import RunFailed
from responses_stream.agents.turn import Turn

__all__ = ["GraphRuns"]

_TOOLS: Final = "tools"
"""The name that `create_agent` and `ToolNode` give to the node that runs tools."""
_FORMS: Final = ("langchain_create_agent", "model")
"""Who answers calls that only give a form to an answer: this node of the graphs of `create_agent`."""


@attrs.define(eq=False)
class _Run:
    """One run of a graph.

    Attributes:
        given: the input of the graph.
        config: its config.
        memory: what is left if it breaks off now, but for what was said of the message that is open.
        hidden: the ids of messages that are for this turn only.
        waiting: the messages whose calls the graph goes on with.
        kept: the ids of the messages that are in its last checkpoint, where that is known.
        state: the values of the graph, as they were last told.
        results: what tools came to, whether or not the graph has gone on from it.
        interrupts: the questions of the graph, by their ids.
    """

    given: Any
    config: RunnableConfig
    memory: Memory
    hidden: Collection[str] = ()
    waiting: Sequence[BaseMessage] = ()
    kept: Collection[str | None] | None = None
    state: Any = None
    results: list[ToolMessage] = attrs.field(factory=list)
    interrupts: dict[str, Interrupt] = attrs.field(factory=dict)

    @property
    def messages(self) -> list[BaseMessage] | None:
        """The messages in the state, or None where it has none."""
        found = self.state.get("messages") if isinstance(self.state, Mapping) else None
        return [message for message in found if message.id not in self.hidden] if isinstance(found, list) else None


@attrs.frozen(eq=False)
class GraphRuns:
    """How graphs are run. The members are those of `bridge`."""

    config: RunnableConfig | Callable[[Turn], RunnableConfig] | None = None
    context: Callable[[Turn], Any] | None = None
    to_state: Callable[[Turn], Any] | None = None
    from_update: Callable[[Mapping[str, Any]], Iterable[Said]] | None = None
    nodes: Collection[str] | None = None
    subgraphs: bool = True
    client_tools: bool = False

    async def speak(self, graph: PregelProtocol[Any, Any, Any, Any], turn: Turn) -> AsyncGenerator[Said, None]:
        """Yield what *graph* says.

        Raises:
            RunFailed: the client says more than the answers that the graph waits for.
        """
        saver = getattr(graph, "checkpointer", None)
        saver = saver if isinstance(saver, BaseCheckpointSaver) else None
        memory = Memory.of(turn.session)
        answers = Answers.of(turn.run.messages, memory.questions if memory is not None else ())
        if saver is None:
            run = await self._anew(turn, memory)
        else:
            run = await self._further(graph, turn, memory, answers, saver)
        offered = functions_of(turn.run.options) if self.client_tools else []
        said = Translation(
            clients={tool["name"] for tool in offered},
            refused=answers.refusals,
            sealed=wants_sealed(turn.run.options),
        )
        said.know(run.waiting)
        modes: list[Any] = ["messages", "updates", "values", "custom", "tasks" if saver is None else "checkpoints"]
        extra: dict[str, Any] = {} if self.context is None else {"context": self.context(turn)}
        parts = apart(graph.astream(run.given, run.config, stream_mode=modes, subgraphs=self.subgraphs, **extra))
        done = False
        try:
            async for part in parts:
                namespace, mode, data = part if self.subgraphs else ((), *part)
                for content in self._said(run, said, namespace, mode, data):
                    yield content
            questions = [Question.of(interrupt, turn.response_id) for interrupt in run.interrupts.values()]
            run.memory = attrs.evolve(run.memory, questions=questions)
            done = True
            for content in self._ending(run, said, questions):
                yield content
        except GraphRecursionError:
            yield Incomplete("max_turns")
        finally:
            turn.session = _left(run, said, done).as_session()
            await parts.aclose()

    async def _anew(self, turn: Turn, memory: Memory | None) -> _Run:
        """Return a run of a graph that keeps nothing itself."""
        kept = memory is not None and memory.thread is None
        before = loaded(memory.messages) if memory is not None and kept else messages_of(await turn.get_history())
        messages = answered([*before, *messages_of(turn.run.messages)])
        config = self._config(turn)
        run = _Run(None, config, Memory(saved(messages)))
        given: list[BaseMessage] = messages
        asked = instructions_of(turn.run.options)
        if asked is not None:
            instructions = SystemMessage(asked, id=f"instructions_{turn.response_id}")
            run.hidden, given = [str(instructions.id)], [instructions, *messages]
        run.given = self.to_state(turn) if self.to_state is not None else {"messages": given}
        return run

    async def _further(
        self,
        graph: Any,
        turn: Turn,
        memory: Memory | None,
        answers: Answers,
        saver: BaseCheckpointSaver[Any],
    ) -> _Run:
        """Return a run of a graph that has checkpoints."""
        config = self._config(turn)
        place = config["configurable"]
        found, values = False, None
        if memory is not None and memory.checkpoint is not None:
            place.update(thread_id=memory.thread, checkpoint_id=memory.checkpoint)
            snapshot = await graph.aget_state(config)
            found, values = snapshot.created_at is not None, snapshot.values
        if not found:
            # There were no turns, or they came to no checkpoint, or that is gone.
            place.pop("checkpoint_id", None)
            kept = memory is not None and memory.checkpoint is None
            before = memory.messages if memory is not None and kept else saved(messages_of(await turn.get_history()))
            memory = Memory(before, new_thread())
            place["thread_id"] = memory.thread
        assert memory is not None
        known = (values.get("messages") if isinstance(values, Mapping) else None) or []
        asked = [question for question in memory.questions if answers.answers(question)]
        if asked:
            if answers.others:
                message = "Answer what the previous response asks first, with nothing else in the input."
                raise RunFailed("invalid_prompt", message)
            thread = await forked(saver, str(memory.thread), str(memory.checkpoint))
            place["thread_id"] = thread
            resume = {question.interrupt: question.resumed(answers) for question in asked}
            left = attrs.evolve(memory, thread=thread, questions=())
            return _Run(Command(resume=resume), config, left, waiting=known, kept={message.id for message in known})
        messages = [*loaded(memory.messages), *messages_of(turn.run.messages)]
        given = [*answers_of([*known, *messages]), *messages]
        left = attrs.evolve(memory, messages=saved(messages), questions=())
        return _Run(self.to_state(turn) if self.to_state is not None else {"messages": given}, config, left)

    def _config(self, turn: Turn) -> RunnableConfig:
        config = config_of(self.config, turn)
        options = turn.run.options
        asked = {**settings_of(options), "instructions": instructions_of(options), "turn": turn}
        config["configurable"] = {name: value for name, value in asked.items() if value is not None} | config[
            "configurable"
        ]
        return config

    def _said(self, run: _Run, said: Translation, namespace: Sequence[str], mode: str, data: Any) -> Iterable[Said]:
        match mode:
            case "messages" if self.from_update is None:
                message, metadata = data
                if isinstance(message, ToolMessage):
                    run.results.append(message)
                    if (metadata.get("ls_integration"), metadata.get("langgraph_node")) == _FORMS:
                        said.formed(message)
                        return
                if self._shows(message, namespace, metadata, said):
                    yield from said.said(message, namespace)
            case "updates" if "__interrupt__" in data:
                run.interrupts |= {interrupt.id: interrupt for interrupt in data["__interrupt__"]}
            case "updates" if self.from_update is not None:
                yield from () if namespace else self.from_update(data)
            case "updates":
                for node, added in _updates_in(data):
                    messages = _messages_in(added)
                    said.coming(messages)
                    structured, last = added.get("structured_response"), messages[-1] if messages else None
                    if structured is not None and isinstance(last, ToolMessage) and self._speaks(namespace, node):
                        # The model has written it as the arguments of a call.
                        yield from said.form(last, structured)
            case "tasks" if "input" in data:
                # A graph without a checkpointer cannot be interrupted: what is coming is made.
                yield from said.begun()
            case "custom" if isinstance(data, Content | Update):
                yield data
            case "values":
                if not namespace:
                    run.state = data
                if not run.interrupts:
                    yield from said.settle(namespace)
            case "checkpoints" if not namespace and "__start__" not in data["next"]:
                checkpoint = data["config"]["configurable"]["checkpoint_id"]
                # What was given is in it, where the state has messages; an entrypoint keeps only what it ends with.
                kept = run.memory.messages if run.messages is None else ()
                run.memory = attrs.evolve(run.memory, checkpoint=checkpoint, messages=kept)
                run.kept = {message.id for message in run.messages or ()}

    def _shows(
        self, message: BaseMessage, namespace: Sequence[str], metadata: Mapping[str, Any], said: Translation
    ) -> bool:
        if isinstance(message, ToolMessage):
            return _TOOLS not in _names(namespace) and (self.nodes is None or said.knows(message.tool_call_id))
        return self._speaks(namespace, metadata.get("langgraph_node"))

    def _speaks(self, namespace: Sequence[str], node: str | None) -> bool:
        """Whether what *node* says is for the client."""
        path = {node, *_names(namespace)}
        return _TOOLS not in path and (self.nodes is None or not path.isdisjoint(self.nodes))

    def _ending(self, run: _Run, said: Translation, questions: Sequence[Question]) -> Iterable[Said]:
        for question in questions:
            yield from question.said()
        if questions or self.from_update is not None:
            return
        yield from said.unmade(run.messages)
        if isinstance(run.state, str) and not said.anything:
            yield run.state
        if said.cut is not None:
            yield Incomplete(said.cut)


def _names(namespace: Sequence[str]) -> list[str]:
    return [part.partition(":")[0] for part in namespace]


def _updates_in(data: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield what each node has changed; it may have done that in more than one step."""
    for node, changed in data.items():
        for one in changed if isinstance(changed, list) else [changed]:
            if isinstance(one, Mapping):
                yield node, one


def _messages_in(update: Mapping[str, Any]) -> list[BaseMessage]:
    """Return the messages that a node has added."""
    found = update.get("messages")
    return [message for message in (found if isinstance(found, list) else [found]) if isinstance(message, BaseMessage)]


def _left(run: _Run, said: Translation, done: bool) -> Memory:
    """Return what a run leaves for the next turn: the messages of the graph, and what was told of steps not done."""
    memory, state = run.memory, run.messages
    ended = done and not memory.questions
    if state is None and memory.thread is not None and ended:
        return attrs.evolve(memory, messages=())
    left = loaded(memory.messages) if state is None or memory.thread is not None else state
    if state is not None and run.kept is not None:
        # A step that was interrupted has changed the state, and not the checkpoint.
        known = {*run.kept, *(message.id for message in left)}
        left += [message for message in state if message.id not in known]
    known = {message.id for message in [*(state or ()), *left]}
    if state is not None:
        waiting = {call["id"] for _, call in open_calls(left if left is state else [*state, *left])}
        left += [result for result in run.results if result.tool_call_id in waiting and result.id not in known]
    for message_id, spoken in said.spoken.items():
        if message_id not in known and (state is None or not (ended or spoken.settled)):
            left += said.unsettled(message_id)
    return attrs.evolve(memory, messages=saved(left))
