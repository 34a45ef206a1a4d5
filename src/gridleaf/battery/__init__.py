"""The battery: how its cells age, and what that is worth."""
