"""Usage: taking it in (consume), putting it on the stream, counting it exactly once, reading it back."""
