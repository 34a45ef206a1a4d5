"""The first schema.

Times are microseconds since 1970 UTC.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BIG = sa.BigInteger
ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", ID, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("station_id", sa.Text, nullable=False),
        sa.Column("evse_id", sa.Integer, nullable=True),
        sa.Column("transaction_id", sa.Text, nullable=True),
        sa.Column("seq_no", BIG, nullable=True),
        sa.Column("phase", sa.Text, nullable=True),
        sa.Column("received_at", BIG, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_index("events_of_kind", "events", ["kind", "id"])
    op.create_index("events_of_station", "events", ["station_id", "id"])
    op.create_index(
        "events_of_transaction", "events", ["station_id", "transaction_id", "seq_no"], unique=True
    )
    op.create_index(
        "needs_of_evse",
        "events",
        ["station_id", "evse_id", "received_at"],
        sqlite_where=sa.text("kind = 'needs'"),
        postgresql_where=sa.text("kind = 'needs'"),
    )
    op.create_table(
        "transactions",
        sa.Column("station_id", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("transaction_id", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("evse_id", sa.Integer, nullable=True),
        sa.Column("began_at", BIG, nullable=False),
        sa.Column("first_seq", BIG, nullable=False),
        sa.Column("last_seq", BIG, nullable=False),
        sa.Column("events", BIG, nullable=False),
        sa.Column("started", sa.Boolean, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
        sa.Column("gap", sa.Boolean, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "open_transactions",
        "transactions",
        ["station_id", "evse_id", "transaction_id"],
        sqlite_where=sa.text("ended = 0"),
        postgresql_where=sa.text("NOT ended"),
    )
    op.create_table(
        "samples",
        sa.Column("station_id", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("evse_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("measurand", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("phase", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("measured_at", BIG, primary_key=True, autoincrement=False),
        sa.Column("value", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "latest",
        sa.Column("kind", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("station_id", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("evse_id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("part", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("row_id", BIG, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "starts",
        sa.Column("station_id", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("transaction_id", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("evse_id", sa.Integer, nullable=False),
        sa.Column("id_token", sa.Text, nullable=False),
        sa.Column("started_at", BIG, nullable=False),
        sa.Column("meter_start_kwh", sa.Double, nullable=False),
    )
    op.create_index(
        "one_id_per_start",
        "starts",
        ["station_id", "evse_id", "id_token", "started_at", "meter_start_kwh"],
        unique=True,
    )
    op.create_table(
        "epochs",
        sa.Column("station_id", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("epoch", BIG, nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("station_id", sa.Text, nullable=False),
        sa.Column("evse_id", sa.Integer, nullable=True),
        sa.Column("transaction_id", sa.Text, nullable=False),
        sa.Column("id_token", sa.Text, nullable=True),
        sa.Column("arrived_at", BIG, nullable=False),
        sa.Column("departed_at", BIG, nullable=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("charged_kwh", sa.Double, nullable=False),
        sa.Column("discharged_kwh", sa.Double, nullable=False),
        sa.Column("arrival_soc", sa.Double, nullable=True),
        sa.Column("departure_soc", sa.Double, nullable=True),
        sa.Column("capacity_kwh", sa.Double, nullable=True),
        sa.Column("target_kwh", sa.Double, nullable=True),
        sa.Column("departure_at", BIG, nullable=True),
        sa.Column("unmet_kwh", sa.Double, nullable=True),
        sa.Column("reachable_kwh", sa.Double, nullable=True),
        sa.Column("cost_eur", sa.Double, nullable=True),
        sa.Column("uncontrolled_cost_eur", sa.Double, nullable=True),
        sa.Column("flags", sa.Text, nullable=False),
    )
    op.create_index("sessions_arrived", "sessions", ["arrived_at"])
    op.create_index("sessions_of_state", "sessions", ["state", "arrived_at"])
    op.create_index("sessions_of_token", "sessions", [sa.text("lower(id_token)"), "arrived_at"])
    op.create_table(
        "wishes",
        sa.Column("id", ID, primary_key=True),
        sa.Column("session_id", sa.Text, nullable=False),
        sa.Column("departure_at", BIG, nullable=True),
        sa.Column("energy_kwh", sa.Double, nullable=True),
        sa.Column("target_soc", sa.Double, nullable=True),
        sa.Column("reserve_soc", sa.Double, nullable=True),
        sa.Column("v2g", sa.Boolean, nullable=True),
        sa.Column("said_by", sa.Text, nullable=False),
        sa.Column("said_at", BIG, nullable=True),
    )
    op.create_index("wishes_of_session", "wishes", ["session_id", "id"])
    op.create_table(
        "cycles",
        sa.Column("cycle_id", ID, primary_key=True),
        sa.Column("at", BIG, nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
        sa.Column("decision", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "dispatches",
        sa.Column("id", ID, primary_key=True),
        sa.Column("station_id", sa.Text, nullable=False),
        sa.Column("evse_id", sa.Integer, nullable=False),
        sa.Column("transaction_id", sa.Text, nullable=True),
        sa.Column("sent_at", BIG, nullable=False),
        sa.Column("expires_at", BIG, nullable=True),
        sa.Column("steps", sa.Text, nullable=False),
        sa.Column("accepted", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("profile_id", BIG, nullable=False),
        sa.Column("rung", sa.Integer, nullable=False),
    )
    op.create_table(
        "measurements",
        sa.Column("measured_at", BIG, primary_key=True, autoincrement=False),
        sa.Column("source", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("grid_kw", sa.Double, nullable=True),
        sa.Column("pv_kw", sa.Double, nullable=True),
        sa.Column("load_kw", sa.Double, nullable=True),
        sa.Column("grid_phase_a", sa.Text, nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "prices",
        sa.Column("source", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("start", BIG, primary_key=True, autoincrement=False),
        sa.Column("known_at", BIG, primary_key=True, autoincrement=False),
        sa.Column("end", BIG, nullable=False),
        sa.Column("price_per_kwh", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "frames",
        sa.Column("id", ID, primary_key=True),
        sa.Column("station_id", sa.Text, nullable=False),
        sa.Column("at", BIG, nullable=False),
        sa.Column("outgoing", sa.Boolean, nullable=False),
        sa.Column("frame", sa.Text, nullable=False),
    )
    op.create_index("frames_at", "frames", ["at"])
    op.create_index("frames_of_station", "frames", ["station_id", "at"])
    op.create_table(
        "accounts",
        sa.Column("name", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("secret_hash", sa.Text, nullable=False),
        sa.Column("created_at", BIG, nullable=False),
    )
    op.create_table(
        "settings",
        sa.Column("key", sa.Text, primary_key=True, autoincrement=False),
        sa.Column("value", sa.Text, nullable=False),
    )
