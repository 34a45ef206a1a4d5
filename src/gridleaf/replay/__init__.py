"""A real charging log and real prices through the platform itself, in three modes.

``logs`` reads any log, ``window`` and ``site`` make of it visits at EVSEs, ``run`` replays them,
``report`` shows what came out.
"""
