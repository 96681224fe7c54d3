from __future__ import annotations

import http.client
import json
import random
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any, Callable, Dict, Generator, Generic, List, Literal, Mapping, Optional, TypedDict, TypeVar, Union, cast

T = TypeVar("T")
E = TypeVar("E")

#: What names a block: its height, its hash, `"height:hash"`, `"latest"` or `"pending"`. An event's cursor names its block, too.
BlockId = Union[int, str]

#: A position after a block, `"height:hash"`, from which a subscription goes on.
Cursor = str


@dataclass(frozen=True)
class Json:
    """An input that is given as JSON, where the guest does not tell its form."""

    value: Any


#: A view's input where the guest does not tell its form: bytes, text, or JSON.
Input = Union[bytes, str, Json]


@dataclass(frozen=True)
class Output:
    """A view's answer where the guest does not tell its form."""

    bytes: bytes

    def text(self) -> str:
        """As text; an error if it is not UTF-8."""
        return self.bytes.decode()

    def json(self) -> Any:
        """As JSON; an empty answer is `None`."""
        return read_json(self.bytes)


class RpcError(Exception):
    """The server, or a view, says that it cannot answer."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        #: As in JSON-RPC; 0 if the server said nothing of that kind.
        self.code = code
        self.message = message
        #: For programs: its member `kind` is a fixed word.
        self.data = data

    @property
    def is_temporary(self) -> bool:
        """Whether the same may be tried again."""
        return self.kind == "cursor_ahead"

    @property
    def kind(self) -> str:
        """The fixed word of `data`, such as `no_such_view`; empty if there is none."""
        kind = self.data.get("kind") if isinstance(self.data, dict) else None
        return kind if isinstance(kind, str) else ""


class TemporaryError(RpcError):
    """What may be tried again."""

    @property
    def is_temporary(self) -> bool:
        return True


@dataclass(frozen=True)
class Tip:
    """The last block that is indexed."""

    height: int
    hash: str
    history_root: str


@dataclass(frozen=True)
class BlockRef:
    """A block."""

    height: int
    hash: str


@dataclass(frozen=True)
class Write:
    """A key and its value. An empty value is an absent one; `None` is one that is too long to be told, of `length` bytes."""

    key: bytes
    value: Optional[bytes]
    length: Optional[int] = None


@dataclass(frozen=True)
class PositionEvent:
    """Where the subscription stands: nothing that it tells of happened up to here. `None` is before the first block."""

    cursor: Cursor
    height: Optional[int]
    hash: Optional[str]


@dataclass(frozen=True)
class BehindEvent:
    """So many blocks have come that are not told yet."""

    cursor: Cursor
    blocks: int


@dataclass(frozen=True)
class BlockEvent:
    """A block was added."""

    cursor: Cursor
    height: int
    hash: str
    parent: str
    history_root: str


@dataclass(frozen=True)
class UndoEvent:
    """A reorg: these blocks are gone, from the top down; the event's own block is the tip now."""

    cursor: Cursor
    height: int
    hash: str
    undone: List[BlockRef]


@dataclass(frozen=True)
class BlockWritesEvent(BlockEvent):
    """A block wrote these keys."""

    writes: List[Write]


@dataclass(frozen=True)
class UndoWritesEvent(UndoEvent):
    """A reorg: these keys have these values again."""

    writes: List[Write]


@dataclass(frozen=True)
class AnswerEvent(Generic[T]):
    """A view answers something else from this block on. After a reorg, `undone` are the blocks that are gone."""

    cursor: Cursor
    height: int
    hash: str
    result: T
    undone: List[BlockRef]


@dataclass(frozen=True)
class FailureEvent:
    """A view fails from this block on."""

    cursor: Cursor
    height: int
    hash: str
    error: RpcError
    undone: List[BlockRef]


@dataclass(frozen=True)
class PendingEvent:
    """Another pending block, and what it writes."""

    number: int
    height: int
    hash: str
    parent: str
    writes: List[Write]


@dataclass(frozen=True)
class NoPendingEvent:
    """There is no pending block now."""


HeadsEvent = Union[BlockEvent, UndoEvent, PositionEvent, BehindEvent]
WritesEvent = Union[BlockWritesEvent, UndoWritesEvent, PositionEvent, BehindEvent]
ViewEvent = Union[AnswerEvent[T], FailureEvent, PositionEvent, BehindEvent]
Subscription = Generator[E, None, None]

FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 30.0


class BaseClient:
    """What every guest's client has.

    `url` says where `metashrew start` serves; `headers` are sent with each request; a call may take `timeout` seconds. A
    connection of a subscription that brings nothing for `idle_timeout` seconds, not even a heartbeat, is given up.
    `on_retry` is told whenever such a connection is lost, before it is tried again.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8080",
        *,
        headers: Optional[Mapping[str, str]] = None,
        timeout: float = 60.0,
        idle_timeout: float = 90.0,
        on_retry: Optional[Callable[[Optional[BaseException], float], None]] = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = dict(headers or {})
        self._timeout = timeout
        self._idle_timeout = idle_timeout
        self._on_retry = on_retry

    def rpc(self, method: str, params: Any, *, timeout: Optional[float] = None) -> Any:
        """Calls a method of the server's JSON-RPC."""
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        headers = {**self._headers, "content-type": "application/json"}
        request = urllib.request.Request(self._url + "/", json.dumps(call).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=self._timeout if timeout is None else timeout) as response:
                return _result_of(response.status, response.read())
        except urllib.error.HTTPError as error:
            with error:
                return _result_of(error.code, error.read())

    def view(
        self, name: str, input: Input = b"", block: BlockId = "latest", *, timeout: Optional[float] = None
    ) -> bytes:
        """What a view answers about the state after a block, in bytes."""
        params = [name, "0x" + _input_bytes(input).hex(), block]
        return _from_hex(self.rpc("metashrew_view", params, timeout=timeout))

    def tip(self) -> Optional[Tip]:
        """The last block that is indexed; `None` before the first."""
        told = self.rpc("metashrew_snapshot", [])
        height = told["indexed_height"]
        return None if height is None else Tip(height, told["block_hash"], told["history_root"])

    def block_hash(self, block: BlockId = "latest") -> str:
        """The hash of a block."""
        return str(self.rpc("metashrew_getblockhash", [block]))

    def state_root(self, block: BlockId = "latest") -> str:
        """The history root at a block."""
        return str(self.rpc("metashrew_stateroot", [block]))

    def heads(
        self, *, cursor: Optional[Cursor] = None, start: Optional[Literal["first"]] = None
    ) -> Subscription[HeadsEvent]:
        """Blocks that come and go. See `watch_view` for `cursor` and `start`."""
        return self._follow("heads", {}, cursor, start, _heads_event)

    def writes(
        self,
        *,
        prefix: Optional[bytes] = None,
        storage: Optional[str] = None,
        cursor: Optional[Cursor] = None,
        start: Optional[Literal["first"]] = None,
    ) -> Subscription[WritesEvent]:
        """What blocks write, in keys that begin with a prefix, or in a table of the guest."""
        query = {"prefix": None if prefix is None else "0x" + prefix.hex(), "storage": storage}
        return self._follow("writes", query, cursor, start, _writes_event)

    def pending(self, *, prefix: Optional[bytes] = None) -> Subscription[Union[PendingEvent, NoPendingEvent]]:
        """The pending block, whenever there is another one. It has no cursor."""
        query = {"prefix": None if prefix is None else "0x" + prefix.hex()}
        return self._follow("pending", query, None, None, _pending_event)

    def watch_view(
        self,
        name: str,
        input: Input,
        decode: Callable[[bytes], T],
        *,
        cursor: Optional[Cursor] = None,
        start: Optional[Literal["first"]] = None,
    ) -> Subscription[ViewEvent[T]]:
        """A view's answers, whenever they change.

        A subscription goes on after `cursor`; without one it begins at the tip, or, with `start="first"`, before the first
        block that the server holds. It goes on over as many connections as it takes; `close()` ends it.
        """
        query = {"input": "0x" + _input_bytes(input).hex()}

        def decoded(event: Dict[str, Any]) -> Optional[ViewEvent[T]]:
            if event["type"] != "answer":
                return _position_event(event)
            at = (event["cursor"], event["height"], event["hash"])
            undone = _blocks(event.get("undone", []))
            if "error" in event:
                return FailureEvent(*at, _error_of(event["error"], RpcError), undone)
            return AnswerEvent(*at, decode(_from_hex(event["result"])), undone)

        return self._follow("view/" + urllib.parse.quote(name, safe=""), query, cursor, start, decoded)

    def _follow(
        self,
        path: str,
        query: Mapping[str, Optional[str]],
        cursor: Optional[Cursor],
        start: Optional[str],
        decode: Callable[[Dict[str, Any]], Optional[E]],
    ) -> Subscription[E]:
        """Events from a cursor on, over as many connections as it takes: none is lost and none comes twice."""
        wait = FIRST_WAIT_SECONDS
        while True:
            cause: Optional[BaseException] = None
            position = {"from": start} if cursor is None else {"cursor": cursor}
            events = self._connect(path, {**query, **position})
            try:
                while True:
                    try:
                        event = next(events, None)
                    except (OSError, http.client.HTTPException, ValueError) as error:
                        cause = error
                        break
                    except RpcError as error:
                        if not error.is_temporary:
                            raise
                        cause = error
                        break
                    if event is None:
                        break
                    wait = FIRST_WAIT_SECONDS
                    told = decode(event)
                    if told is not None:
                        yield told
                    # Only now has it arrived: the loop over this asks for the next one.
                    cursor = event.get("cursor", cursor)
            finally:
                events.close()
            jittered = wait * (0.5 + random.random() / 2)
            if self._on_retry is not None:
                self._on_retry(cause, jittered)
            time.sleep(jittered)
            wait = min(wait * 2, LONGEST_WAIT_SECONDS)

    def _connect(self, path: str, query: Mapping[str, Optional[str]]) -> Generator[Dict[str, Any], None, None]:
        """The whole events of one connection."""
        pairs = urllib.parse.urlencode({name: value for name, value in query.items() if value is not None})
        headers = {**self._headers, "accept": "text/event-stream"}
        request = urllib.request.Request(f"{self._url}/subscribe/{path}?{pairs}", headers=headers)
        try:
            response = urllib.request.urlopen(request, timeout=self._idle_timeout)
        except urllib.error.HTTPError as error:
            with error:
                _result_of(error.code, error.read())
            raise TemporaryError(0, f"HTTP status {error.code} in place of events") from error
        with response:
            parts: List[Dict[str, Any]] = []
            for data in _messages(response):
                event = json.loads(data)
                if event["type"] == "end":
                    return
                if "part" not in event:
                    yield event
                    continue
                if event["part"] != len(parts):
                    raise ValueError("a part of an event is missing")
                parts.append(event)
                if event.get("last"):
                    yield _joined(parts)
                    parts = []


def _messages(response: Any) -> Generator[bytes, None, None]:
    """The `data` of each server-sent event."""
    data: List[bytes] = []
    for ended in response:
        # What the stream breaks off in the midst of is not dispatched.
        if not ended.endswith(b"\n"):
            return
        line = ended.rstrip(b"\r\n")
        if line.startswith(b"data:"):
            data.append(line[6:] if line.startswith(b"data: ") else line[5:])
        elif not line and data:
            yield b"\n".join(data)
            data = []


def _joined(parts: List[Dict[str, Any]]) -> Dict[str, Any]:
    """One event of its parts."""
    whole: Dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            if isinstance(value, list) and name in whole:
                whole[name].extend(value)
            else:
                whole[name] = value
    del whole["part"], whole["last"]
    return whole


def _result_of(status: int, body: bytes) -> Any:
    """The result that a response has; raises what it has in place of one."""
    try:
        answer = json.loads(body)
    except ValueError:
        answer = {}
    kind = TemporaryError if status >= 500 or status in (408, 425, 429) else RpcError
    if isinstance(answer, dict) and "error" in answer:
        raise _error_of(answer["error"], kind)
    if status != 200:
        raise kind(0, f"HTTP status {status}")
    if not isinstance(answer, dict) or "result" not in answer:
        raise RpcError(0, "it does not answer in JSON-RPC")
    return answer["result"]


def _error_of(error: Dict[str, Any], kind: Callable[[int, str, Any], RpcError]) -> RpcError:
    return kind(error["code"], error["message"], error.get("data"))


def _from_hex(text: str) -> bytes:
    return bytes.fromhex(text[2:] if text.startswith("0x") else text)


def _input_bytes(input: Input) -> bytes:
    if isinstance(input, Json):
        return write_json(input.value)
    return input.encode() if isinstance(input, str) else input


def _blocks(blocks: List[Dict[str, Any]]) -> List[BlockRef]:
    return [BlockRef(block["height"], block["hash"]) for block in blocks]


def _writes(writes: List[Dict[str, Any]]) -> List[Write]:
    return [_write(write) for write in writes]


def _write(write: Dict[str, Any]) -> Write:
    value = None if write["value"] is None else _from_hex(write["value"])
    return Write(_from_hex(write["key"]), value, write.get("length"))


def _position_event(event: Dict[str, Any]) -> Optional[Union[PositionEvent, BehindEvent]]:
    """What any subscription tells; `None` for what a later server may."""
    if event["type"] == "position":
        return PositionEvent(event["cursor"], event["height"], event["hash"])
    return BehindEvent(event["cursor"], event["blocks"]) if event["type"] == "behind" else None


def _heads_event(event: Dict[str, Any]) -> Optional[HeadsEvent]:
    if event["type"] == "block":
        return BlockEvent(event["cursor"], event["height"], event["hash"], event["parent"], event["historyRoot"])
    if event["type"] == "undo":
        return UndoEvent(event["cursor"], event["height"], event["hash"], _blocks(event["undone"]))
    return _position_event(event)


def _writes_event(event: Dict[str, Any]) -> Optional[WritesEvent]:
    head = _heads_event(event)
    if isinstance(head, BlockEvent):
        return BlockWritesEvent(
            head.cursor, head.height, head.hash, head.parent, head.history_root, _writes(event["writes"])
        )
    if isinstance(head, UndoEvent):
        return UndoWritesEvent(head.cursor, head.height, head.hash, head.undone, _writes(event["writes"]))
    return head


def _pending_event(event: Dict[str, Any]) -> Optional[Union[PendingEvent, NoPendingEvent]]:
    if event["type"] == "pending":
        writes = _writes(event["writes"])
        return PendingEvent(event["number"], event["height"], event["hash"], event["parent"], writes)
    return NoPendingEvent() if event["type"] == "none" else None


def read_json(data: bytes) -> Any:
    """JSON as a view answers it; an empty answer is `None`."""
    return json.loads(data) if data else None


def write_json(value: Any) -> bytes:
    """JSON as a view takes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
