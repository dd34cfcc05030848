'use strict';
// The side of a plugin that faces relay, for plugins written in JavaScript: the
// handshake, the gRPC service, the log, secrets and the end. docs/plugins.md of
// relay explains every step; provider.proto is the protocol itself.
//
//   serve({ name, version, providerSchema, destinationSchema, limits, check, send })
//
// check(settings) names what is wrong with settings that fit the schemas:
//   [{ provider: false, pointer: '/url', message: '…' }]. It uses no network.
// send({ settings, message, delivery, signal, log }) makes the one attempt and
// answers with a report: { verdict: 'DELIVERED', receipt, error, … }.

const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const protobuf = require('protobufjs');
const providerProto = require('./provider.proto'); // esbuild puts its text here

const COOKIE = '3f0d1d5cf1d94f5f8a5f9d5c7b1f2e60';
const PROTOCOL = 1; // the version of provider.proto
const MAX_FRAME = 16 * 1024 * 1024;

// relay ends a plugin by go-plugin's own service; without it, it would be killed.
const controllerProto = `syntax = "proto3"; package plugin;
message Empty {}
service GRPCController { rpc Shutdown(Empty) returns (Empty); }`;

function load(text) {
  const root = protobuf.parse(text, { keepCase: true }).root;
  return grpc.loadPackageDefinition(loader.fromJSON(root.toJSON(), { keepCase: true, longs: String, enums: String, defaults: true }));
}

// The secrets of all settings: they are masked in whatever leaves the process.
const secrets = new Set();

function mask(text) {
  let out = String(text);
  for (const s of [...secrets].sort((a, b) => b.length - a.length)) out = out.split(s).join('<secret>');
  return out;
}

// learnSecrets collects the strings that a schema marks with "writeOnly": true.
function learnSecrets(schema, value, hidden) {
  hidden = hidden || Boolean(schema && schema.writeOnly);
  if (typeof value === 'string') {
    if (hidden && value.length >= 8) for (const form of [value, encodeURIComponent(value), JSON.stringify(value).slice(1, -1)]) secrets.add(form);
  } else if (Array.isArray(value)) {
    for (const item of value) learnSecrets(schema && schema.items, item, hidden);
  } else if (value && typeof value === 'object') {
    for (const [key, item] of Object.entries(value)) learnSecrets(schema && schema.properties && schema.properties[key], item, hidden);
  }
}

// log writes the JSON lines that relay logs as its own. Nothing is ever printed
// to standard output but the handshake.
function log(level, message, fields = {}) {
  process.stderr.write(mask(JSON.stringify({ '@level': level, '@message': message, '@timestamp': new Date().toISOString(), ...fields })) + '\n');
}

function serve(provider) {
  if (process.env.RELAY_PLUGIN !== COOKIE) {
    process.stderr.write(`This is a plugin of relay: put it into relay's plugins directory as relay-plugin-${provider.name}.\n`);
    process.exit(1);
  }
  if (process.env.PLUGIN_CLIENT_CERT) {
    log('error', 'automtls: true is set, and this plugin does not do TLS; take it out of relay.yaml');
    process.exit(1);
  }
  // The end of this pipe means that relay is gone, also when it was killed.
  const parent = new net.Socket({ fd: 3, readable: true, writable: false });
  parent.on('end', () => process.exit(0)).on('error', () => process.exit(0)).resume();
  // relay ends its plugins by Shutdown, after their deliveries.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});

  const server = new grpc.Server({ 'grpc.max_receive_message_length': MAX_FRAME, 'grpc.max_send_message_length': MAX_FRAME });
  server.addService(load(providerProto).relay.plugin.v1.Provider.service, service(provider));
  server.addService(load(controllerProto).plugin.GRPCController.service, {
    Shutdown(_, answer) {
      answer(null, {});
      setImmediate(() => { server.forceShutdown(); process.exit(0); });
    },
  });
  const socket = path.join(process.env.PLUGIN_UNIX_SOCKET_DIR, 'plugin.sock');
  server.bindAsync('unix:' + socket, grpc.ServerCredentials.createInsecure(), (err) => {
    if (err) {
      log('error', 'cannot listen: ' + err.message);
      process.exit(1);
    }
    // go-plugin's own version, the protocol's, where, and how. One line, and all.
    fs.writeSync(1, `1|${PROTOCOL}|unix|${socket}|grpc|\n`);
  });
}

function service(provider) {
  let configured = new Map(); // revision → settings
  const running = new Map(); // ticket → AbortController

  function decode(s) {
    const settings = { revision: s.revision, destination: s.destination, entry: s.entry, provider: JSON.parse(s.provider.toString() || '{}'), target: JSON.parse(s.target.toString() || '{}') };
    learnSecrets(provider.providerSchema, settings.provider, false);
    learnSecrets(provider.destinationSchema, settings.target, false);
    return settings;
  }

  function judge(s) {
    const settings = decode(s);
    const problems = (provider.check ? provider.check(settings) : []).map((p) => ({ ...p, message: mask(p.message), revision: s.revision }));
    return { settings, problems, usable: problems.every((p) => p.warning) };
  }

  async function deliver(d) {
    const settings = configured.get(d.settings);
    if (!settings) return { verdict: 'TEMPORARY', error: 'the plugin does not have these settings; they were changed meanwhile' };
    const abort = new AbortController();
    running.set(d.ticket, abort);
    const timer = setTimeout(() => abort.abort(), Number(d.timeout_ms));
    try {
      return await provider.send({ settings, delivery: d, message: JSON.parse(d.message.toString()), signal: abort.signal, log });
    } catch (err) {
      log('error', 'the provider failed', { error: String(err && err.stack) });
      return { verdict: 'AMBIGUOUS', error: 'the plugin failed: ' + (err && err.message) };
    } finally {
      clearTimeout(timer);
      running.delete(d.ticket);
    }
  }

  return {
    Describe(_, answer) {
      answer(null, {
        name: provider.name, version: provider.version,
        capabilities: [], // no "render": relay renders, and deliveries carry the message
        provider_schema: Buffer.from(JSON.stringify(provider.providerSchema || { type: 'object', additionalProperties: false })),
        destination_schema: Buffer.from(JSON.stringify(provider.destinationSchema)),
        limits: provider.limits,
      });
    },
    Check(call, answer) {
      answer(null, { problems: call.request.settings.flatMap((s) => judge(s).problems) });
    },
    Configure(call, answer) {
      const next = new Map();
      const problems = [];
      for (const s of call.request.settings) { // the list is whole: what it leaves out is forgotten
        const judged = judge(s);
        problems.push(...judged.problems);
        if (judged.usable) next.set(s.revision, judged.settings);
      }
      configured = next;
      answer(null, { problems });
    },
    Deliver(stream) {
      stream.on('data', (frame) => {
        for (const d of frame.deliveries) {
          deliver(d).then((report) => stream.write({ results: [{ ticket: d.ticket, report: { ...report, error: mask(report.error || '') } }] }));
        }
        for (const ticket of frame.cancel) running.get(ticket)?.abort();
      });
      stream.on('end', () => stream.end());
      stream.on('error', () => {});
    },
  };
}

// post makes one request, without redirects and without retries: those are
// relay's. Its answer is { status, headers, body }, or { error, sent }.
async function post(url, body, { headers = {}, signal } = {}) {
  try {
    const response = await fetch(url, { method: 'POST', body, signal, redirect: 'manual', headers: { 'Content-Type': 'application/json', ...headers } });
    return { status: response.status, headers: response.headers, body: (await response.text()).slice(0, 65536) };
  } catch (err) {
    const code = (err.cause && err.cause.code) || err.name;
    // Nothing was sent where there was no connection; else the vendor may have it.
    const sent = !['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'].includes(code);
    return { error: sent ? 'no answer: ' + code : 'nothing could be sent: ' + code, sent };
  }
}

// byStatus is the report that a status alone stands for.
function byStatus(answer) {
  if (answer.error) return { verdict: answer.sent ? 'AMBIGUOUS' : 'TEMPORARY', error: answer.error };
  const s = answer.status;
  const report = { error: 'status ' + s, response: { status: s, body: Buffer.from(mask(answer.body)) } };
  const wait = Number(answer.headers.get('retry-after'));
  if (wait > 0) report.retry_after_ms = String(Math.min(wait, 86400) * 1000);
  if (s >= 200 && s < 300) return { ...report, verdict: 'DELIVERED', error: '' };
  if (s < 400 || s === 401 || s === 403 || s === 404) return { ...report, verdict: 'DESTINATION_REFUSED', probe: true };
  if (s === 410) return { ...report, verdict: 'DESTINATION_REFUSED' };
  if (s === 408 || s === 425 || s === 429 || s === 503) return { ...report, verdict: 'TEMPORARY' };
  return { ...report, verdict: s < 500 ? 'MESSAGE_REFUSED' : 'AMBIGUOUS' };
}

// named prints people in place of mention tokens: U+E000, an index into the
// message's mentions, U+E001.
function named(text, mentions = []) {
  return String(text || '').replace(/\uE000(\d+)\uE001/g, (_, i) => { const p = mentions[i] || {}; return '@' + (p.name || p.email || 'somebody'); });
}

// cut shortens a text to so many UTF-16 units, and says so.
function cut(text, limit) {
  return text.length <= limit ? text : text.slice(0, limit - 1).replace(/[\uD800-\uDBFF]$/, '') + '…';
}

module.exports = { serve, post, byStatus, named, cut, mask };
