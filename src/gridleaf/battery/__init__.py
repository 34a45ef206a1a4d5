"""Cells and packs: electrical limits, ageing, wear price, health, passport."""
