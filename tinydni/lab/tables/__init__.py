"""The tables of `tinydni reproduce`: which runs make one, what the paper found, what differs."""
