"""`tinydni bench`: the times of our training steps beside those of other programs that do the same mathematics."""
