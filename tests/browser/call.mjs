// Calls between the p2pcall program and a real Chromium, in both roles, by whole session descriptions.
//
//   npm ci && node call.mjs PATH-TO-P2PCALL
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
const program = process.argv[2] ?? join(here, '../../target/debug/p2pcall');
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

/** Starts our end; `event` waits for one of its events, `stats` are the last ones. */
function start(args) {
  const options = ['--json', '--no-servers', '--video', 'test', '--audio', 'tone', '--speaker', 'none'];
  if (address) options.push('--bind', address);
  const child = spawn(program, [...args, ...options], { stdio: ['pipe', 'pipe', 'inherit'] });
  const events = [];
  let wake = () => {};
  let rest = '';
  child.stdout.on('data', (data) => {
    rest += data;
    const lines = rest.split('\n');
    rest = lines.pop();
    events.push(...lines.map((line) => JSON.parse(line)));
    wake();
  });
  const ended = new Promise((done) => child.on('exit', done));
  return {
    ended,
    kill: () => child.kill('SIGKILL'),
    type: (line) => child.stdin.write(`${line}\n`),
    stats: () => events.findLast(({ event }) => event === 'stats'),
    loudest: () => Math.max(...events.filter(({ event }) => event === 'stats').map(({ audio }) => audio.level_out_dbfs ?? -100)),
    event: async (fits) => {
      const deadline = Date.now() + 15_000;
      for (let next = 0; ; next += 1) {
        while (next >= events.length) {
          const left = deadline - Date.now();
          assert.ok(left > 0, `instead of what was awaited: ${JSON.stringify(events, undefined, 1)}`);
          await new Promise((more) => { wake = more; setTimeout(more, left); });
        }
        if (fits(events[next])) return events[next];
      }
    },
  };
}

const isCode = ({ event }) => event === 'code';
const isConnected = ({ event, state }) => event === 'state' && state === 'connected';

async function call(name, ourRole, options, check) {
  const page = await browser.newPage();
  page.on('pageerror', (error) => console.error(`${name}: ${error}`));
  await page.goto(url);
  let ours;
  try {
    if (ourRole === 'offer') {
      ours = start(['offer', '--sdp']);
      const description = JSON.parse((await ours.event(isCode)).code);
      const reply = await page.evaluate(([remote, options]) => answer(remote, options), [description, options]);
      ours.type(JSON.stringify(reply));
    } else {
      const description = await page.evaluate((options) => offer(options), options);
      ours = start(['answer', JSON.stringify(description)]);
      const reply = JSON.parse((await ours.event(isCode)).code);
      await page.evaluate((reply) => accept(reply), reply);
    }
    await ours.event(isConnected);
    await page.waitForFunction(() => channel?.readyState === 'open', undefined, { timeout: 10_000 });
    await page.evaluate(() => channel.send(JSON.stringify({ type: 'chat', text: 'are you there?' })));
    await ours.event(({ event, from, text }) => event === 'chat' && from === 'remote' && text === 'are you there?');
    ours.type('/say I am');
    await page.waitForFunction(() => messages.some((text) => text.includes('I am')), undefined, { timeout: 5_000 });
    await new Promise((done) => setTimeout(done, SECONDS * 1_000));
    const theirs = await page.evaluate(() => stats());
    console.log(`${name}\n  browser ${JSON.stringify(theirs)}\n  ours    ${JSON.stringify(ours.stats())}`);
    check(theirs, { ...ours.stats(), loudest: ours.loudest() });
    ours.type('/hangup');
    assert.equal(await ours.ended, 0, 'a call that took place ends with 0');
  } finally {
    ours?.kill();
    await page.close();
  }
}

/** Sound and picture came through both ways, decodable, without loss. */
function both(theirs, ours) {
  assert.equal(theirs.state, 'connected');
  assert.ok(theirs.in_audio.packets > 40 * SECONDS, 'our sound');
  assert.ok(theirs.in_video.decoded > 12 * SECONDS, 'our picture');
  // Chromium's microphone beeps once a second; in a second, the meter falls by 12 dB.
  assert.ok(ours.received.audio_kbps > 8 && ours.loudest > -50, `their sound: ${ours.loudest} dBFS`);
  assert.ok(ours.video.frames_decoded > 8 * SECONDS && ours.video.width > 0, 'their picture');
  assert.ok(ours.received.lost <= ours.received.packets / 100, 'no loss on this machine');
}

/** The browser only watches and listens. */
function watched(theirs) {
  assert.ok(theirs.in_audio.packets > 40 * SECONDS && theirs.in_video.decoded > 12 * SECONDS);
}

try {
  await call('we offer', 'offer', { media: true }, both);
  await call('the browser offers', 'answer', { media: true }, both);
  await call('the browser offers, H.264 first', 'answer', { media: true, codec: 'video/H264' }, both);
  await call('we offer, the browser hides its addresses', 'offer', { media: false }, watched);
  console.log('all calls went through');
} finally {
  await browser.close();
  server.close();
}
