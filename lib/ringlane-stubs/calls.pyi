# What it has are call, call_wait, serve and serve_wait of a RequestReplyChannel.

from .request_reply import RequestReplyChannel

def try_request(at: int, cold: RequestReplyChannel, data: object) -> int: ...
