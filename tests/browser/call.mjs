// Calls between p2pcall and a real Chromium, in both roles, by whole session descriptions.
//
//   npm install && cargo build --example sdp_peer && node call.mjs [PATH-TO-sdp_peer]
//
// CHROMIUM (default /usr/bin/chromium) and ADDRESS (default: the first one that is not loopback) may be set.

import { spawn } from 'node:child_process';
import { networkInterfaces, tmpdir } from 'node:os';
import { mkdtempSync } from 'node:fs';
import { join, dirname } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { createServer } from 'node:http';
import { readFileSync } from 'node:fs';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
const peer = process.argv[2] ?? join(here, '../../target/debug/examples/sdp_peer');
const address = process.env.ADDRESS ?? Object.values(networkInterfaces()).flat()
  .find((found) => found.family === 'IPv4' && !found.internal)?.address;
const SECONDS = 4;

// Camera and microphone need a secure context: localhost is one, a file is not.
const server = createServer((_, response) => {
  response.setHeader('content-type', 'text/html');
  response.end(readFileSync(join(here, 'page.html')));
}).listen(0, '127.0.0.1');
await new Promise((listening) => server.once('listening', listening));
const url = `http://localhost:${server.address().port}/`;

const browser = await chromium.launchPersistentContext(mkdtempSync(join(tmpdir(), 'p2pcall-')), {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream'],
});

/** Starts our end; its lines of JSON come by `next`, the last of them stays in `last`. */
function start(role, lose) {
  const child = spawn(peer, [role, address, ...lose ? [lose] : []], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = [];
  let wake = () => {};
  let rest = '';
  child.stdout.on('data', (data) => {
    rest += data;
    const found = rest.split('\n');
    rest = found.pop();
    lines.push(...found.map((line) => JSON.parse(line)));
    wake();
  });
  const ours = {
    child,
    last: undefined,
    next: async () => {
      while (lines.length === 0) await new Promise((more) => { wake = more; });
      return lines.shift();
    },
    tell: (description) => child.stdin.write(`${JSON.stringify(description)}\n`),
    counted: () => lines.filter((line) => line.audio).at(-1),
  };
  return ours;
}

async function call(name, ourRole, options, check) {
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.error(`${name}: ${error}`));
  await page.goto(url);
  const ours = start(ourRole, options.lose);
  try {
    if (ourRole === 'offer') {
      const offer = await ours.next();
      ours.tell(await page.evaluate(([offer, options]) => answer(offer, options), [offer, options]));
    } else {
      ours.tell(await page.evaluate((options) => offer(options), options));
      const answer = await ours.next();
      await page.evaluate((answer) => accept(answer), answer);
    }
    await page.waitForFunction(() => channel?.readyState === 'open', undefined, { timeout: 10_000 });
    await page.evaluate(() => channel.send('are you there?'));
    await page.waitForFunction(() => messages.includes('ARE YOU THERE?'), undefined, { timeout: 5_000 });
    await new Promise((done) => setTimeout(done, SECONDS * 1_000));
    const theirs = await page.evaluate(() => stats());
    console.log(`${name}\n  browser ${JSON.stringify(theirs)}\n  ours    ${JSON.stringify(ours.counted())}`);
    check(theirs, ours.counted());
  } finally {
    ours.child.kill();
    await page.close();
  }
}

/** Sound and picture came through both ways, decodable, without loss. */
function both(theirs, ours) {
  assert.equal(theirs.state, 'connected');
  assert.ok(theirs.in_audio.packets > 40 * SECONDS, 'our sound');
  assert.ok(theirs.in_video.decoded > 15 * SECONDS, 'our picture');
  assert.equal(theirs.in_video.lost, 0);
  assert.ok(theirs.remote_video === undefined || theirs.remote_video.lost === 0);
  assert.ok(ours.audio.received > 40 * SECONDS, 'their sound');
  assert.ok(ours.video.received > 15 * SECONDS, 'their picture');
  assert.equal(ours.video.lost + ours.audio.lost, 0);
  assert.ok(ours.video.round_trip_ms !== null, 'reports');
}

/** Every tenth packet of media went missing, and pictures came whole all the same, without a storm. */
function repaired(theirs, ours) {
  assert.ok(theirs.in_video.decoded > 12 * SECONDS, 'our picture');
  assert.ok(ours.video.recovered > 0 && ours.video.lost <= ours.video.received / 50, 'their picture');
  assert.ok(ours.video.retransmitted > 0 && ours.video.retransmitted < ours.video.sent / 3, 'no storm');
}

/** The browser only watches and listens. */
function ours(theirs) {
  assert.ok(theirs.in_audio.packets > 40 * SECONDS && theirs.in_video.decoded > 15 * SECONDS);
}

try {
  await call('we offer', 'offer', { media: true }, both);
  await call('the browser offers', 'answer', { media: true }, both);
  await call('the browser offers, H.264 first', 'answer', { media: true, codec: 'video/H264' }, both);
  await call('we offer, the browser hides its addresses', 'offer', { media: false }, ours);
  await call('we offer, one packet in ten is lost', 'offer', { media: true, lose: 10 }, repaired);
  await call('the browser offers, one packet in ten is lost', 'answer', { media: true, lose: 10 }, repaired);
  console.log('all calls went through');
} finally {
  await browser.close();
  server.close();
}
