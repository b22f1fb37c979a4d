"""The tables of `tinydni reproduce`, one per file: which runs make it, what the paper found, and what differs."""
