"""Status: what `realignctl status` prints; free of the command line's library, so that it starts fast."""

from __future__ import annotations

import asyncio

from realign_client.api import Client, connect
from realign_client.plain import plain_status
from realign_client.render.status import status_lines
from realign_client.terminal import emit, printable, say

REFRESH_S = 1.0


async def show_status(endpoint: str | None = None, *, watch: bool = False, as_json: bool = False) -> None:
    """Prints the status once, or every second until it is interrupted."""
    async with connect(endpoint) as client:
        if watch and not as_json:
            await _refresh(client)
        while True:
            seen = await client.status()
            if as_json:
                emit(plain_status(seen))
            else:
                say(status_lines(seen))
            if not watch:
                return
            await asyncio.sleep(REFRESH_S)


async def _refresh(client: Client) -> None:
    from rich.live import Live
    from rich.text import Text

    with Live(auto_refresh=False) as live:
        while True:
            lines = status_lines(await client.status())
            live.update(Text("\n".join(printable(line) for line in lines)), refresh=True)
            await asyncio.sleep(REFRESH_S)
