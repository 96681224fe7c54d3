"""Follows a server by a generated client up to a block, over connections that break, and prints what it has then, for
`scripts/check-clients.sh`."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Dict, Iterator, List, Optional, Union

import addresses
from addresses import AnswerEvent, BlockEvent, BlockWritesEvent, FailureEvent, PositionEvent, UndoEvent, UndoWritesEvent

#: After so many events a loop is left, and another one goes on from its cursor.
LEFT_AFTER = 13

Lines = List[str]


def line(label: str, value: Any) -> str:
    return f"{label} {json.dumps(value)}"


def check(holds: bool, what: str, event: object) -> None:
    if not holds:
        raise AssertionError(f"{what}: {event}")


class Follower:
    """Asks one server, up to one block."""

    def __init__(self, url: str, last: int) -> None:
        self.last = last
        self.retries = 0
        self.undone = 0
        self.client = addresses.Client(url, idle_timeout=2.0, on_retry=self.retried)

    def retried(self, cause: Optional[BaseException], wait: float) -> None:
        self.retries += 1

    def all(self, follow: Callable[..., Iterator[Any]]) -> Iterator[Any]:
        """All events from the first block to the last."""
        start: Dict[str, str] = {"start": "first"}
        while True:
            events = follow(**start)
            for _, event in zip(range(LEFT_AFTER), events):
                yield event
                if not isinstance(event, PositionEvent) and getattr(event, "height", None) == self.last:
                    return
                start = {"cursor": event.cursor}

    def apply(self, chain: List[BlockEvent], event: Union[BlockEvent, UndoEvent]) -> None:
        """Each block stands on the one before it, and what goes is what came last."""
        if isinstance(event, BlockEvent):
            check(not chain or chain[-1].hash == event.parent, "it stands on another block", event)
            chain.append(event)
            return
        for block in event.undone:
            check(bool(chain) and chain.pop().hash == block.hash, "another block came last", event)
        check(bool(chain) and chain[-1].hash == event.hash, "another block is left", event)
        self.undone += len(event.undone)

    def heads(self) -> Lines:
        chain: List[BlockEvent] = []
        for event in self.all(self.client.heads):
            if isinstance(event, (BlockEvent, UndoEvent)):
                self.apply(chain, event)
        return [line("head", [block.cursor, block.height, block.hash, block.parent, block.history_root]) for block in chain]

    def writes(self) -> Lines:
        chain: List[BlockEvent] = []
        values: Dict[str, str] = {}
        for event in self.all(self.client.writes):
            if isinstance(event, (BlockWritesEvent, UndoWritesEvent)):
                self.apply(chain, event)
                for write in event.writes:
                    check(write.value is not None, "a value is too long", event)
                    values["0x" + write.key.hex()] = "0x" + (write.value or b"").hex()
        return [line("value", pair) for pair in sorted(values.items()) if pair[1] != "0x"]

    def answers(self) -> Lines:
        told: List[AnswerEvent[Any]] = []

        def follow(**start: Any) -> Iterator[Any]:
            return self.client.watch.balance({"script": "51"}, **start)

        for event in self.all(follow):
            if isinstance(event, FailureEvent):
                raise event.error
            if not isinstance(event, AnswerEvent):
                continue
            gone = {block.hash for block in event.undone}
            while told and (told[-1].height >= event.height or told[-1].hash in gone):
                check(bool(gone), "it came already", event)
                told.pop()
            told.append(event)
        return [line("answer", [event.cursor, event.result]) for event in told]


def main(url: str, last: str, *kinds: str) -> None:
    follower = Follower(url, int(last))
    following: List[Callable[[], Lines]] = [follower.heads, follower.writes, follower.answers]
    with ThreadPoolExecutor() as pool:
        for lines in pool.map(lambda follow: follow(), [it for it in following if it.__name__ in kinds]):
            print("\n".join(lines))
    print(f"Python: {follower.retries} connections were lost, {follower.undone} blocks undone", file=sys.stderr)


main(*sys.argv[1:])
