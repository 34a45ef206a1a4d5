// A station built on npm ocpp-rpc in strict mode, which checks every message in both directions
// against its own schemas. It boots, charges at its maximum until a profile tells otherwise, meters
// what it does, and stops when it is asked to.
//
// usage: node ocpp_rpc_station.cjs ENDPOINT IDENTITY SUBPROTOCOL TOKEN
// The password is in STATION_PASSWORD, the packages in the folder GRIDLEAF_NODE_MODULES.
'use strict';

const path = require('node:path');
const { RPCClient } = require(path.join(process.env.GRIDLEAF_NODE_MODULES, 'ocpp-rpc'));

const [endpoint, identity, version, token] = process.argv.slice(2);
const MAX_W = 11000;
const METER_EVERY_MS = 50;
const TRANSACTION_ID = 'rpc-1';
const KEYS = {
  ChargeProfileMaxStackLevel: '3',
  ChargingScheduleAllowedChargingRateUnit: 'Current,Power',
  NumberOfConnectors: '1',
};
const VARIABLES = {
  'SmartChargingCtrlr.ProfileStackLevel': '3',
  'SmartChargingCtrlr.RateUnit': 'W,A',
};

let powerW = 0;
let importedWh = 1000;
let stopAsked = false;

const client = new RPCClient({
  endpoint,
  identity,
  password: process.env.STATION_PASSWORD,
  protocols: [version],
  strictMode: true,
  reconnect: false,
});
client.on('strictValidationFailure', ({ error }) => fail(`strict validation: ${error.message}`));
client.on('badMessage', ({ error }) => fail(`bad message: ${error.message}`));

function fail(reason) {
  console.error(reason);
  process.exit(1);
}

const now = () => new Date().toISOString();
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const expect = (condition, what) => condition || fail(`expected ${what}`);

function samples() {
  importedWh += 1;
  return [
    ['Power.Active.Import', 'W', powerW],
    ['Energy.Active.Import.Register', 'Wh', importedWh],
  ];
}

async function untilStopped(meter) {
  while (!stopAsked) {
    await meter();
    await pause(METER_EVERY_MS);
  }
}

function obey(periods) {
  powerW = Math.min(MAX_W, periods[0].limit);
  return { status: 'Accepted' };
}

function stop(isMine) {
  stopAsked = isMine;
  return { status: isMine ? 'Accepted' : 'Rejected' };
}

async function charge16() {
  let transactionId = null;
  client.handle('SetChargingProfile', ({ params }) =>
    obey(params.csChargingProfiles.chargingSchedule.chargingSchedulePeriod));
  client.handle('RemoteStopTransaction', ({ params }) =>
    stop(params.transactionId === transactionId));
  client.handle('GetConfiguration', ({ params }) => ({
    configurationKey: params.key
      .filter((key) => key in KEYS)
      .map((key) => ({ key, readonly: true, value: KEYS[key] })),
    unknownKey: params.key.filter((key) => !(key in KEYS)),
  }));

  const boot = { chargePointVendor: 'Mikuso', chargePointModel: 'ocpp-rpc' };
  expect((await client.call('BootNotification', boot)).status === 'Accepted', 'boot');
  await client.call('StatusNotification', {
    connectorId: 1, errorCode: 'NoError', status: 'Preparing', timestamp: now(),
  });
  const authorised = await client.call('Authorize', { idTag: token });
  expect(authorised.idTagInfo.status === 'Accepted', 'authorisation');
  const started = await client.call('StartTransaction', {
    connectorId: 1, idTag: token, meterStart: 1000, timestamp: now(),
  });
  expect(started.idTagInfo.status === 'Accepted', 'start');
  transactionId = started.transactionId;
  powerW = MAX_W;
  await untilStopped(() => client.call('MeterValues', {
    connectorId: 1,
    transactionId,
    meterValue: [{
      timestamp: now(),
      sampledValue: samples().map(([measurand, unit, value]) =>
        ({ measurand, unit, value: String(value) })),
    }],
  }));
  await client.call('StopTransaction', {
    transactionId, meterStop: importedWh, timestamp: now(), reason: 'Remote', idTag: token,
  });
}

async function charge2() {
  let seqNo = 0;
  client.handle('SetChargingProfile', ({ params }) =>
    obey(params.chargingProfile.chargingSchedule[0].chargingSchedulePeriod));
  client.handle('RequestStopTransaction', ({ params }) =>
    stop(params.transactionId === TRANSACTION_ID));
  client.handle('GetVariables', ({ params }) => ({
    getVariableResult: params.getVariableData.map(({ component, variable }) => {
      const value = VARIABLES[`${component.name}.${variable.name}`];
      return value === undefined
        ? { component, variable, attributeStatus: 'UnknownVariable' }
        : { component, variable, attributeStatus: 'Accepted', attributeValue: value };
    }),
  }));

  const boot = {
    chargingStation: { vendorName: 'Mikuso', model: 'ocpp-rpc' }, reason: 'PowerUp',
  };
  expect((await client.call('BootNotification', boot)).status === 'Accepted', 'boot');
  await client.call('StatusNotification', {
    timestamp: now(), connectorStatus: 'Occupied', evseId: 1, connectorId: 1,
  });
  const idToken = { idToken: token, type: 'ISO14443' };
  const authorised = await client.call('Authorize', { idToken });
  expect(authorised.idTokenInfo.status === 'Accepted', 'authorisation');
  const event = (eventType, triggerReason, chargingState, more = {}, info = {}) =>
    client.call('TransactionEvent', {
      eventType,
      timestamp: now(),
      triggerReason,
      seqNo: seqNo++,
      transactionInfo: { transactionId: TRANSACTION_ID, chargingState, ...info },
      evse: { id: 1, connectorId: 1 },
      meterValue: [{
        timestamp: now(),
        sampledValue: samples().map(([measurand, unit, value]) =>
          ({ measurand, unitOfMeasure: { unit }, value })),
      }],
      ...more,
    });
  const started = await event('Started', 'Authorized', 'EVConnected', { idToken });
  expect(started.idTokenInfo.status === 'Accepted', 'start');
  powerW = MAX_W;
  await untilStopped(() => event('Updated', 'MeterValuePeriodic', 'Charging'));
  await event('Ended', 'RemoteStop', 'EVConnected', {}, { stoppedReason: 'Remote' });
}

async function main() {
  await client.connect();
  expect(client.protocol === version, `subprotocol ${version}`);
  await (version === 'ocpp1.6' ? charge16() : charge2());
  await client.close();
}

main().catch((error) => fail(error.stack));
