"""Asyncio shell of the SIP stack: sockets, DNS and the one timer that drive the pure core."""
