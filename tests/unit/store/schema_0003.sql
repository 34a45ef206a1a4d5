BEGIN TRANSACTION;
CREATE TABLE accounts (
	name TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	role TEXT NOT NULL, 
	secret_hash TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "accounts" VALUES('ada','person','operator','x',1767614400000000);
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE cycles (
	cycle_id INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	"trigger" TEXT NOT NULL, 
	state BLOB NOT NULL, 
	decision BLOB NOT NULL, 
	PRIMARY KEY (cycle_id)
);
INSERT INTO "cycles" VALUES(1,1767614400000000,'timer',X'7801ABAE0500017500F9',X'78018B8E0500011500B9');
CREATE TABLE dispatches (
	id INTEGER NOT NULL, 
	station_id TEXT NOT NULL, 
	evse_id INTEGER NOT NULL, 
	transaction_id TEXT, 
	sent_at BIGINT NOT NULL, 
	expires_at BIGINT, 
	steps TEXT NOT NULL, 
	accepted BOOLEAN NOT NULL, 
	status TEXT NOT NULL, 
	profile_id BIGINT NOT NULL, 
	rung INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "dispatches" VALUES(1,'S1',1,'T1',1767614400000000,1767615000000000,'[[0, 7.5]]',1,'Accepted',1,0);
CREATE TABLE epochs (
	station_id TEXT NOT NULL, 
	epoch BIGINT NOT NULL, 
	PRIMARY KEY (station_id)
);
INSERT INTO "epochs" VALUES('S1',1);
CREATE TABLE events (
	id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	station_id TEXT NOT NULL, 
	evse_id INTEGER, 
	transaction_id TEXT, 
	seq_no BIGINT, 
	phase TEXT, 
	received_at BIGINT NOT NULL, 
	body TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "events" VALUES(1,'booted','S1',NULL,NULL,NULL,NULL,1767614400000000,'{"kind":"booted","station_id":"S1","received_at":"2026-01-05T12:00:00Z","vendor":"V","model":"M","serial_number":"","firmware_version":"","reason":""}');
INSERT INTO "events" VALUES(2,'status','S1',1,NULL,NULL,NULL,1767614400000000,'{"kind":"status","station_id":"S1","received_at":"2026-01-05T12:00:00Z","evse_id":1,"connector_id":1,"status":"available","reported_at":"2026-01-05T12:00:00Z","detail":"","error_code":""}');
INSERT INTO "events" VALUES(3,'transaction','S1',1,'T1',0,'started',1767614400000000,'{"kind":"transaction","station_id":"S1","received_at":"2026-01-05T12:00:00Z","transaction_id":"T1","seq_no":0,"phase":"started","occurred_at":"2026-01-05T12:00:00Z","evse_id":1,"connector_id":null,"id_token":null,"charging_state":null,"trigger":"","stopped_reason":"","offline":false,"remote_start_id":null,"operation_mode":null,"samples":[{"measured_at":"2026-01-05T12:00:00Z","measurand":"Power.Active.Import","value":0.0,"unit":"kW","phase":null,"context":"Sample.Periodic","location":"Outlet","raw":""},{"measured_at":"2026-01-05T12:00:00Z","measurand":"SoC","value":0.0,"unit":"kW","phase":null,"context":"Sample.Periodic","location":"Outlet","raw":""}],"flags":[]}');
INSERT INTO "events" VALUES(4,'transaction','S1',1,'T1',1,'updated',1767614460000000,'{"kind":"transaction","station_id":"S1","received_at":"2026-01-05T12:01:00Z","transaction_id":"T1","seq_no":1,"phase":"updated","occurred_at":"2026-01-05T12:01:00Z","evse_id":1,"connector_id":null,"id_token":null,"charging_state":null,"trigger":"","stopped_reason":"","offline":false,"remote_start_id":null,"operation_mode":null,"samples":[{"measured_at":"2026-01-05T12:01:00Z","measurand":"Power.Active.Import","value":1.0,"unit":"kW","phase":null,"context":"Sample.Periodic","location":"Outlet","raw":""},{"measured_at":"2026-01-05T12:01:00Z","measurand":"SoC","value":1.0,"unit":"kW","phase":null,"context":"Sample.Periodic","location":"Outlet","raw":""}],"flags":[]}');
INSERT INTO "events" VALUES(5,'transaction','S1',1,'T1',2,'updated',1767614520000000,'{"kind":"transaction","station_id":"S1","received_at":"2026-01-05T12:02:00Z","transaction_id":"T1","seq_no":2,"phase":"updated","occurred_at":"2026-01-05T12:02:00Z","evse_id":1,"connector_id":null,"id_token":null,"charging_state":null,"trigger":"","stopped_reason":"","offline":false,"remote_start_id":null,"operation_mode":null,"samples":[{"measured_at":"2026-01-05T12:02:00Z","measurand":"Power.Active.Import","value":2.0,"unit":"kW","phase":null,"context":"Sample.Periodic","location":"Outlet","raw":""},{"measured_at":"2026-01-05T12:02:00Z","measurand":"SoC","value":2.0,"unit":"kW","phase":null,"context":"Sample.Periodic","location":"Outlet","raw":""}],"flags":[]}');
INSERT INTO "events" VALUES(6,'transaction','S1',1,'T0',0,'started',1767614400000000,'{"kind":"transaction","station_id":"S1","received_at":"2026-01-05T12:00:00Z","transaction_id":"T0","seq_no":0,"phase":"started","occurred_at":"2026-01-05T12:00:00Z","evse_id":1,"connector_id":null,"id_token":null,"charging_state":null,"trigger":"","stopped_reason":"","offline":false,"remote_start_id":null,"operation_mode":null,"samples":[{"measured_at":"2026-01-05T12:00:00Z","measurand":"Power.Active.Import","value":0.0,"unit":"kW","phase":null,"context":"Sample.Periodic","location":"Outlet","raw":""},{"measured_at":"2026-01-05T12:00:00Z","measurand":"SoC","value":0.0,"unit":"kW","phase":null,"context":"Sample.Periodic","location":"Outlet","raw":""}],"flags":[]}');
INSERT INTO "events" VALUES(7,'transaction','S1',1,'T0',1,'ended',1767614460000000,'{"kind":"transaction","station_id":"S1","received_at":"2026-01-05T12:01:00Z","transaction_id":"T0","seq_no":1,"phase":"ended","occurred_at":"2026-01-05T12:01:00Z","evse_id":1,"connector_id":null,"id_token":null,"charging_state":null,"trigger":"","stopped_reason":"","offline":false,"remote_start_id":null,"operation_mode":null,"samples":[{"measured_at":"2026-01-05T12:01:00Z","measurand":"Power.Active.Import","value":1.0,"unit":"kW","phase":null,"context":"Sample.Periodic","location":"Outlet","raw":""},{"measured_at":"2026-01-05T12:01:00Z","measurand":"SoC","value":1.0,"unit":"kW","phase":null,"context":"Sample.Periodic","location":"Outlet","raw":""}],"flags":[]}');
INSERT INTO "events" VALUES(8,'needs','S1',1,NULL,NULL,NULL,1767614460000000,'{"kind":"needs","station_id":"S1","received_at":"2026-01-05T12:01:00Z","evse_id":1,"requested_transfer":"DC_BPT","available_transfers":[],"control_mode":null,"departure_at":null,"soc":0.5,"target_soc":null,"capacity_kwh":null,"energy_needed_kwh":null,"energy_min_kwh":null,"energy_max_kwh":null,"v2x_min_energy_kwh":null,"v2x_max_energy_kwh":null,"charge_min_kw":null,"charge_max_kw":null,"discharge_min_kw":null,"discharge_max_kw":null}');
CREATE TABLE frames (
	id INTEGER NOT NULL, 
	station_id TEXT NOT NULL, 
	at BIGINT NOT NULL, 
	outgoing BOOLEAN NOT NULL, 
	frame TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "frames" VALUES(1,'S1',1767614400000000,1,'[]');
CREATE TABLE health (
	vehicle TEXT NOT NULL, 
	version INTEGER NOT NULL, 
	at BIGINT NOT NULL, 
	session_id TEXT NOT NULL, 
	verdict TEXT NOT NULL, 
	weight DOUBLE NOT NULL, 
	sessions INTEGER NOT NULL, 
	misfits INTEGER NOT NULL, 
	nominal_kwh DOUBLE NOT NULL, 
	capacity_kwh DOUBLE NOT NULL, 
	low_kwh DOUBLE NOT NULL, 
	high_kwh DOUBLE NOT NULL, 
	mean TEXT NOT NULL, 
	covariance TEXT NOT NULL, 
	PRIMARY KEY (vehicle, version)
)
 WITHOUT ROWID

;
INSERT INTO "health" VALUES('tag',1,1767614400000000,'S1/T1','counted',0.9,1,0,40.0,34.0,32.0,36.0,'[3.5, 0.0, -0.01]','[0.1, 0.0, 0.0, 0.2, 0.1, 0.3]');
CREATE TABLE latest (
	kind TEXT NOT NULL, 
	station_id TEXT NOT NULL, 
	evse_id INTEGER NOT NULL, 
	part TEXT NOT NULL, 
	row_id BIGINT NOT NULL, 
	PRIMARY KEY (kind, station_id, evse_id, part)
)
 WITHOUT ROWID

;
INSERT INTO "latest" VALUES('booted','S1',0,'',1);
INSERT INTO "latest" VALUES('dispatch','S1',1,'',1);
INSERT INTO "latest" VALUES('status','S1',1,'1',2);
CREATE TABLE measurements (
	measured_at BIGINT NOT NULL, 
	source TEXT NOT NULL, 
	grid_kw DOUBLE, 
	pv_kw DOUBLE, 
	load_kw DOUBLE, 
	grid_phase_a TEXT, 
	PRIMARY KEY (measured_at, source)
)
 WITHOUT ROWID

;
INSERT INTO "measurements" VALUES(1767614400000000,'api',1.5,NULL,NULL,'[1.0, 2.0, 3.0]');
CREATE TABLE passport (
	vehicle TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	entry TEXT NOT NULL, 
	PRIMARY KEY (vehicle, number)
)
 WITHOUT ROWID

;
INSERT INTO "passport" VALUES('tag',1,'{}');
CREATE TABLE prices (
	source TEXT NOT NULL, 
	start BIGINT NOT NULL, 
	known_at BIGINT NOT NULL, 
	"end" BIGINT NOT NULL, 
	price_per_kwh DOUBLE NOT NULL, 
	PRIMARY KEY (source, start, known_at)
)
 WITHOUT ROWID

;
INSERT INTO "prices" VALUES('a',1767614400000000,1767614400000000,1767618000000000,0.25);
CREATE TABLE samples (
	station_id TEXT NOT NULL, 
	evse_id INTEGER NOT NULL, 
	measurand TEXT NOT NULL, 
	phase TEXT NOT NULL, 
	measured_at BIGINT NOT NULL, 
	value DOUBLE NOT NULL, 
	PRIMARY KEY (station_id, evse_id, measurand, phase, measured_at)
)
 WITHOUT ROWID

;
INSERT INTO "samples" VALUES('S1',1,'Power.Active.Import','',1767614400000000,0.0);
INSERT INTO "samples" VALUES('S1',1,'Power.Active.Import','',1767614460000000,1.0);
INSERT INTO "samples" VALUES('S1',1,'Power.Active.Import','',1767614520000000,2.0);
INSERT INTO "samples" VALUES('S1',1,'SoC','',1767614400000000,0.0);
INSERT INTO "samples" VALUES('S1',1,'SoC','',1767614460000000,1.0);
INSERT INTO "samples" VALUES('S1',1,'SoC','',1767614520000000,2.0);
CREATE TABLE sessions (
	session_id TEXT NOT NULL, 
	station_id TEXT NOT NULL, 
	evse_id INTEGER, 
	transaction_id TEXT NOT NULL, 
	id_token TEXT, 
	arrived_at BIGINT NOT NULL, 
	departed_at BIGINT, 
	state TEXT NOT NULL, 
	charged_kwh DOUBLE NOT NULL, 
	discharged_kwh DOUBLE NOT NULL, 
	arrival_soc DOUBLE, 
	departure_soc DOUBLE, 
	capacity_kwh DOUBLE, 
	target_kwh DOUBLE, 
	departure_at BIGINT, 
	unmet_kwh DOUBLE, 
	reachable_kwh DOUBLE, 
	cost_eur DOUBLE, 
	uncontrolled_cost_eur DOUBLE, 
	flags TEXT NOT NULL, driver_eur DOUBLE, life_eur DOUBLE, 
	PRIMARY KEY (session_id)
);
INSERT INTO "sessions" VALUES('S1/T1','S1',1,'T1','tag',1767614400000000,NULL,'live',1.5,0.0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'["incomplete"]',0.4,0.1);
CREATE TABLE settings (
	"key" TEXT NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "settings" VALUES('key','value');
CREATE TABLE starts (
	station_id TEXT NOT NULL, 
	transaction_id TEXT NOT NULL, 
	evse_id INTEGER NOT NULL, 
	id_token TEXT NOT NULL, 
	started_at BIGINT NOT NULL, 
	meter_start_kwh DOUBLE NOT NULL, 
	PRIMARY KEY (station_id, transaction_id)
);
INSERT INTO "starts" VALUES('S1','17',1,'tag',1767614400000000,12.5);
CREATE TABLE transactions (
	station_id TEXT NOT NULL, 
	transaction_id TEXT NOT NULL, 
	evse_id INTEGER, 
	began_at BIGINT NOT NULL, 
	first_seq BIGINT NOT NULL, 
	last_seq BIGINT NOT NULL, 
	events BIGINT NOT NULL, 
	started BOOLEAN NOT NULL, 
	ended BOOLEAN NOT NULL, 
	gap BOOLEAN NOT NULL, 
	PRIMARY KEY (station_id, transaction_id)
)
 WITHOUT ROWID

;
INSERT INTO "transactions" VALUES('S1','T0',1,1767614400000000,0,1,2,1,1,0);
INSERT INTO "transactions" VALUES('S1','T1',1,1767614400000000,0,2,3,1,0,0);
CREATE TABLE wishes (
	id INTEGER NOT NULL, 
	session_id TEXT NOT NULL, 
	departure_at BIGINT, 
	energy_kwh DOUBLE, 
	target_soc DOUBLE, 
	reserve_soc DOUBLE, 
	v2g BOOLEAN, 
	said_by TEXT NOT NULL, 
	said_at BIGINT, 
	PRIMARY KEY (id)
);
INSERT INTO "wishes" VALUES(1,'S1/T1',1767618000000000,NULL,NULL,NULL,1,'driver',NULL);
CREATE INDEX events_of_kind ON events (kind, id);
CREATE INDEX events_of_station ON events (station_id, id);
CREATE UNIQUE INDEX events_of_transaction ON events (station_id, transaction_id, seq_no);
CREATE INDEX needs_of_evse ON events (station_id, evse_id, received_at) WHERE kind = 'needs';
CREATE INDEX open_transactions ON transactions (station_id, evse_id, transaction_id) WHERE ended = 0;
CREATE UNIQUE INDEX one_id_per_start ON starts (station_id, evse_id, id_token, started_at, meter_start_kwh);
CREATE INDEX sessions_arrived ON sessions (arrived_at);
CREATE INDEX sessions_of_state ON sessions (state, arrived_at);
CREATE INDEX sessions_of_token ON sessions (lower(id_token), arrived_at);
CREATE INDEX wishes_of_session ON wishes (session_id, id);
CREATE INDEX frames_at ON frames (at);
CREATE INDEX frames_of_station ON frames (station_id, at);
CREATE UNIQUE INDEX health_of_session ON health (vehicle, session_id);
COMMIT;
