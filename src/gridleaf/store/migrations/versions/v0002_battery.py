"""Health and passports of batteries, and the driver's share of a session."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("driver_eur", sa.Double, nullable=True))
    op.create_table(
        "health",
        sa.Column("vehicle", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("weight", sa.Double, nullable=False),
        sa.Column("sessions", sa.Integer, nullable=False),
        sa.Column("misfits", sa.Integer, nullable=False),
        sa.Column("nominal_kwh", sa.Double, nullable=False),
        sa.Column("capacity_kwh", sa.Double, nullable=False),
        sa.Column("low_kwh", sa.Double, nullable=False),
        sa.Column("high_kwh", sa.Double, nullable=False),
        sa.Column("mean", sa.Text, nullable=False),
        sa.Column("covariance", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("health_of_session", "health", ["vehicle", "session_id"], unique=True)
    op.create_table(
        "passport",
        sa.Column("vehicle", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("entry", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
