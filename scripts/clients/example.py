"""The example of docs/clients.md."""

from typing import List, Optional

from client import BlockEvent, Client

saved: List[str] = []


def load() -> Optional[str]:
    return saved[-1] if saved else None


save = saved.append

client = Client("http://127.0.0.1:8080")
balance = client.views.balance({"script": "51"})
before = client.views.balance({"script": "51"}, block=170)

for event in client.heads(cursor=load()):
    if isinstance(event, BlockEvent):
        print(event.height, event.hash)
    save(event.cursor)
