// The same speech through the same losses, by p2pcall and by Chromium: `scripts/bench peers` runs it.
//
//   node peers.mjs PATH-TO-P2PCALL [network ...]
//
//   speech.wav -> speaks --RTP--> forwarder: loses, delays --> listens -> heard.wav -> PESQ
//
// CHROMIUM (default /usr/bin/chromium), ADDRESS (default: the first one that is not loopback) and P2PCALL_PESQ (a
// Python that has pesq) may be set. Both ends of a call are of the same kind, and know one candidate: the forwarder.

import { spawn, execFileSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { loadavg, networkInterfaces, tmpdir } from 'node:os';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Forwarder, schedule } from './forwarder.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const { chromium } = createRequire(join(here, '../../tests/browser/call.mjs'))('playwright-core');
const [program, ...asked] = process.argv.slice(2);
const python = process.env.P2PCALL_PESQ ?? 'python3';
const address = process.env.ADDRESS ?? Object.values(networkInterfaces()).flat()
  .find((found) => found.family === 'IPv4' && !found.internal)?.address ?? '127.0.0.1';
// The speech begins after 4 s of silence, in which the ends connect.
const [LEAD, SPEECH, TAIL] = [4, 60, 1.5];
const NETWORKS = [
  { name: 'no loss' },
  { name: '5 % random', loss: 0.05 },
  { name: '10 % random', loss: 0.1 },
  { name: '10 % bursty', loss: 0.1, burst: 4 },
  { name: '20 ms jitter', jitter: 20 },
];

const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
const judge = (...args) => execFileSync(python, [join(here, 'judge.py'), ...args], { encoding: 'utf8', maxBuffer: 1 << 28 });
const folder = mkdtempSync(join(tmpdir(), 'p2pcall-peers-'));
const [spoken, heard] = [join(folder, 'spoken.wav'), join(folder, 'heard.wav')];

function end(args) {
  const child = spawn(program, [...args, '--json', '--no-servers', '--bind', address, '--video', 'none'],
    { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, XDG_CONFIG_HOME: '/proc/none' } });
  const events = [];
  let rest = '';
  child.stdout.on('data', (data) => {
    const lines = (rest + data).split('\n');
    rest = lines.pop();
    events.push(...lines.map((line) => JSON.parse(line)));
  });
  const event = async (fits) => {
    for (const deadline = Date.now() + 15_000; Date.now() < deadline; await pause(0.01)) {
      const found = events.find(fits);
      if (found) return found;
    }
    throw new Error(`p2pcall did not say what was awaited: ${JSON.stringify(events)}`);
  };
  return {
    event,
    stats: () => events.filter(({ event }) => event === 'stats'),
    type: (line) => child.stdin.write(`${line}\n`),
    kill: () => child.kill('SIGKILL'),
  };
}

/** What was concealed during the speech and the mean delay of the jitter buffer, ms. */
async function ours(forwarder) {
  const isCode = ({ event }) => event === 'code';
  const [near, far] = [forwarder.near, forwarder.far];
  const behind = (code, socket) => {
    const { type, sdp } = JSON.parse(code);
    return JSON.stringify({ type, sdp: forwarder.behind(sdp, socket) });
  };
  const speaks = end(['offer', '--sdp', '--audio', `file:${spoken}`, '--speaker', 'none']);
  let listens;
  try {
    const offer = (await speaks.event(isCode)).code;
    listens = end(['answer', behind(offer, far), '--audio', 'none', '--speaker', `file:${heard}`]);
    speaks.type(behind((await listens.event(isCode)).code, near));
    await listens.event(({ event, kind }) => event === 'media' && kind === 'audio');
    await pause(LEAD - 1);
    const before = listens.stats().at(-1)?.audio.concealed_ms ?? 0;
    const from = forwarder.bytes;
    await pause(1 + SPEECH + TAIL);
    const stats = listens.stats().slice(LEAD);
    const mean = (of) => stats.reduce((sum, { audio }) => sum + of(audio), 0) / stats.length;
    return { concealed: stats.at(-1).audio.concealed_ms - before, delay: mean((audio) => audio.buffer_ms), bytes: forwarder.bytes - from };
  } finally {
    for (const end of [speaks, listens]) end?.kill();
  }
}

const page = readFileSync(join(here, 'page.html'));
const server = createServer((_, response) => {
  response.setHeader('content-type', 'text/html');
  response.end(page);
});

async function theirs(forwarder, redundant) {
  const browser = await chromium.launchPersistentContext(mkdtempSync(join(folder, 'chromium-')), {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream',
      `--use-file-for-fake-audio-capture=${spoken}%noloop`, '--disable-features=WebRtcHideLocalIpsWithMdns',
      '--autoplay-policy=no-user-gesture-required'],
  });
  try {
    const page = await browser.newPage();
    page.on('pageerror', (error) => console.error(`page: ${error}`));
    await page.goto(`http://localhost:${server.address().port}/`);
    const offer = await page.evaluate((redundant) => offer(redundant), redundant);
    const answer = await page.evaluate((sdp) => answer(sdp), forwarder.behind(offer, forwarder.far));
    await page.evaluate((sdp) => accept(sdp), forwarder.behind(answer, forwarder.near));
    await page.waitForFunction(() => heard.length > 0, undefined, { timeout: 10_000 });
    await pause(LEAD - 1);
    const before = await page.evaluate(() => stats());
    const from = forwarder.bytes;
    await pause(1 + SPEECH + TAIL);
    const after = await page.evaluate(() => stats());
    const { rate, samples } = await page.evaluate(() => recording());
    write(heard, rate, Buffer.from(samples, 'base64'));
    return {
      concealed: after.concealed - before.concealed,
      delay: (after.delay - before.delay) / (after.emitted - before.emitted),
      bytes: forwarder.bytes - from,
    };
  } finally {
    await browser.close();
  }
}

/** A WAV file, mono, 16 bits. */
function write(path, rate, samples) {
  const head = Buffer.alloc(44);
  head.write('RIFF', 0);
  head.writeUInt32LE(36 + samples.length, 4);
  head.write('WAVEfmt ', 8);
  [[16, 16, 4], [20, 1, 2], [22, 1, 2], [24, rate, 4], [28, rate * 2, 4], [32, 2, 2], [34, 16, 2]]
    .forEach(([at, value, bytes]) => head.writeUIntLE(value, at, bytes));
  head.write('data', 36);
  head.writeUInt32LE(samples.length, 40);
  writeFileSync(path, Buffer.concat([head, samples]));
}

const PEERS = [
  ['p2pcall', (forwarder) => ours(forwarder)],
  ['Chromium', (forwarder) => theirs(forwarder, false)],
  ['Chromium, RED', (forwarder) => theirs(forwarder, true)],
];

try {
  judge('speech', folder);
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  console.log('| network | peer | PESQ | concealed ms | jitter buffer ms | RTP kbit/s | packets lost | load |\n|---|---|---|---|---|---|---|---|');
  for (const network of NETWORKS.filter(({ name }) => !asked.length || asked.some((word) => name.includes(word)))) {
    for (const [name, call] of PEERS) {
      const forwarder = await Forwarder.start(address, schedule(network, 50 * 120, 1));
      try {
        const { concealed, delay, bytes } = await call(forwarder);
        const score = Number(judge('judge', spoken, heard));
        const kbps = bytes * 8 / 1000 / (1 + SPEECH + TAIL);
        const lost = `${forwarder.lost} of ${forwarder.packets}`;
        console.log(`| ${network.name} | ${name} | **${score.toFixed(2)}** | ${concealed.toFixed(0)} | ${delay.toFixed(0)} | ${kbps.toFixed(1)} | ${lost} | ${loadavg()[0].toFixed(1)} |`);
      } finally {
        forwarder.close();
      }
    }
  }
} finally {
  server.close();
  if (process.env.KEEP) console.error(folder);
  else rmSync(folder, { recursive: true, force: true });
}
