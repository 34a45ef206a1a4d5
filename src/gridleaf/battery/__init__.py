"""Cells and packs: what they hold, take and give, how warm they get, how they age, what they are worth."""
