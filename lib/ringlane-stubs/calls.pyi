# What it has are call, call_wait, serve and serve_wait of a RequestReplyChannel.
