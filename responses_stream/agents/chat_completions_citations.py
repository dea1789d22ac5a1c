"""The citations of a Chat Completions stream, and the messages that they speak of.

A citation says which characters of the whole content it means, before, with or after the text, and some servers only
list their sources. A response wants it inside its message, once the text is there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, Final

import attrs

from responses_stream.agents.chat_completions_values import list_of, member, text_of
from responses_stream.agents.contents import Content, Text

_log: Final = logging.getLogger("responses_stream")


@attrs.define(eq=False)
class Citations:
    """The citations that wait for their text: contents in, contents with their citations out."""

    # How much of the content stands before the message that is open, and how long that one is.
    _before: int = attrs.field(init=False, default=0)
    _length: int = attrs.field(init=False, default=0)
    _waiting: list[dict[str, Any]] = attrs.field(init=False, factory=list)
    _told: list[dict[str, Any]] = attrs.field(init=False, factory=list)
    _sources: list[dict[str, Any]] = attrs.field(init=False, factory=list)

    def add(self, annotation: Any) -> bool:
        """Take an annotation of a message, and return whether it is one that can be told."""
        cited = member(annotation, "url_citation")
        url = text_of(member(cited, "url"))
        if not url:
            return False
        start, end = (_offset(member(cited, name)) for name in ("start_index", "end_index"))
        citation = _citation(url, member(cited, "title")) | {"start_index": start, "end_index": max(start, end)}
        if citation not in self._waiting and citation not in self._told:
            self._waiting.append(citation)
        return True

    def add_sources(self, chunk: Any) -> None:
        """Take the sources beside the choices, which have no place in the text; the last list has all of them."""
        found = list_of(member(chunk, "search_results")) or list_of(member(chunk, "citations"))
        urls = [(text_of(source) or text_of(member(source, "url")), member(source, "title")) for source in found]
        self._sources = [_citation(url, title) for url, title in urls if url] or self._sources

    def say(self, content: Content) -> Iterator[Content]:
        """Return *content*, and what may be cited now; all of it where a message ends."""
        if isinstance(content, Text):
            self._length += len(content.text)
            yield content
            yield from self.tell()
            return
        yield from self.tell(final=True)
        self._before += self._length
        self._length = 0
        yield content

    def tell(self, *, final: bool = False) -> Iterator[Content]:
        """Say the citations whose text is there, or all of them, cut to the length of the message (R119)."""
        if not self._length:
            return
        there = self._before + self._length
        told = [one for one in self._waiting if final or one["end_index"] <= there]
        if told:
            self._waiting = [one for one in self._waiting if one not in told]
            self._told += told
            yield Text("", annotations=[self._placed(one) for one in told])

    def finish(self) -> Iterator[Content]:
        """Say that nothing follows."""
        there = self._before + self._length
        self._waiting += [{**source, "start_index": there, "end_index": there} for source in self._sources]
        self._sources = []
        yield from self.tell(final=True)
        if self._waiting:
            _log.info("the upstream cited sources of a text that it did not send; they were dropped")
            self._waiting = []

    def _placed(self, citation: dict[str, Any]) -> dict[str, Any]:
        places = {
            name: min(max(citation[name] - self._before, 0), self._length) for name in ("start_index", "end_index")
        }
        return {**citation, **places}


def _citation(url: str, title: Any) -> dict[str, Any]:
    return {"type": "url_citation", "url": url, "title": text_of(title) or url}


def _offset(value: Any) -> int:
    return max(value, 0) if type(value) is int else 0
