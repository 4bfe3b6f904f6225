// Runs one of the npm packages foundation-stratum and blinkhash-stratum, unchanged, as a pool for one node on regtest or a test net:
//
//   node npm-pool.js PACKAGE PREFIX RPC_PORT COOKIE_FILE STRATUM_PORT PAYOUT_ADDRESS CHAIN
//
// Says "ready" when miners may come. Their libraries of hash functions are native code for two dozen other coins, so the
// one function that Bitcoin needs is put in their place.
'use strict';
const Module = require('module');
const { createHash } = require('crypto');
const { readFileSync } = require('fs');

const [name, prefix, rpcPort, cookieFile, stratumPort, address, chain] = process.argv.slice(2);

const sha256 = (bytes) => createHash('sha256').update(bytes).digest();
const load = Module._load;
Module._load = function (request, ...rest) {
  if (/^(foundation|blinkhash)-multi-hashing$/.test(request)) {
    return { sha256d: (bytes) => sha256(sha256(bytes)) };
  }
  return load.call(this, request, ...rest);
};
const stratum = require(require.resolve(name, { paths: [prefix] }));

const [username, password] = readFileSync(cookieFile, 'utf8').trim().split(/:(.*)/);
const network = {
  bech32: chain === 'regtest' ? 'bcrt' : 'tb',
  bip32: { public: 0x043587cf, private: 0x04358394 },
  peerMagic: 'fabfb5da',
  pubKeyHash: 0x6f,
  scriptHash: 0xc4,
  wif: 0xef,
  coin: 'btc',
};
// Each package reads its own spelling of these.
const primary = {
  address,
  coin: {
    name: 'Bitcoin',
    symbol: 'BTC',
    asicboost: true,
    asicBoost: true,
    getinfo: false,
    getInfo: false,
    segwit: true,
    rewards: {},
    algorithms: { mining: 'sha256d', block: 'sha256d', coinbase: 'sha256d' },
    mainnet: network,
    testnet: network,
  },
  daemons: [{ host: '127.0.0.1', port: Number(rpcPort), username, password }],
  recipients: [],
};
// So low that every hash meets it, and never changed: the test chooses hashes that make a block, and others.
const difficulty = 1e-10;
const options = {
  banning: { time: 600, invalidPercent: 0.5, checkThreshold: 500, purgeInterval: 300 },
  ports: [{
    port: Number(stratumPort),
    enabled: true,
    difficulty: {
      initial: difficulty,
      minimum: difficulty,
      maximum: difficulty,
      targetTime: 1e9,
      retargetTime: 1e9,
      variance: 0.3,
    },
  }],
  p2p: { enabled: false },
  settings: {
    connectionTimeout: 600,
    jobRebroadcastTimeout: 2,
    tcpProxyProtocol: false,
    blockRefreshInterval: 50,
  },
  ...primary,
  primary,
};
// Whoever comes may mine; the answer is the last argument, however many there are.
const authorize = (...given) => given.pop()({ error: null, authorized: true, disconnect: false });
const complain = (text) => console.error(`error: ${text}`);
const pool = name === 'foundation-stratum'
  ? stratum.create(options, { identifier: 'test', tls: {} }, authorize, complain)
  : stratum.create(options, authorize, complain);
pool.on('log', (severity, text) => console.error(`${severity}: ${text}`));
pool.on('started', () => console.log('ready'));
pool.setupPool();
