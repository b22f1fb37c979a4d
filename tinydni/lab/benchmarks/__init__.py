"""`tinydni bench`: our training steps beside those of others that do the same mathematics."""
