// Two ends of a call in a real Chromium whose only way to each other is a TURN relay, over UDP and over TCP.
//
//   npm ci && node relay.mjs ADDRESS:PORT USER PASSWORD
//
// CHROMIUM (default /usr/bin/chromium) may be set.

import { tmpdir } from 'node:os';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { createServer } from 'node:http';
import assert from 'node:assert/strict';
import { chromium } from 'playwright-core';

const [relay, username, credential] = process.argv.slice(2);
const MESSAGES = 200;

// Camera and microphone need a secure context: localhost is one, a blank page is not.
const server = createServer((_, response) => {
  response.setHeader('content-type', 'text/html');
  response.end('<!doctype html><meta charset="utf-8"><title>Both ends</title>');
}).listen(0, '127.0.0.1');
await new Promise((listening) => server.once('listening', listening));

const browser = await chromium.launchPersistentContext(mkdtempSync(join(tmpdir(), 'p2pcall-')), {
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream',
    '--use-fake-ui-for-media-stream'],
});

/** Runs in the page: connects two ends, and returns what came through when enough has. */
async function callOneself({ server: iceServer, messages }) {
  const config = { iceServers: [iceServer], iceTransportPolicy: 'relay' };
  const ends = [new RTCPeerConnection(config), new RTCPeerConnection(config)];
  const errors = [];
  for (const [at, end] of ends.entries()) {
    end.onicecandidate = ({ candidate }) => ends[1 - at].addIceCandidate(candidate ?? undefined);
    end.onicecandidateerror = ({ errorCode, errorText, url }) => errors.push(`${errorCode} ${errorText} ${url}`);
    end.ontrack = ({ track }) => {
      const sink = document.createElement(track.kind);
      sink.muted = true;
      sink.srcObject = new MediaStream([track]);
      sink.play();
    };
    const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: { width: 320, height: 180 } });
    for (const track of media.getTracks()) end.addTrack(track, media);
  }
  const [alice, bob] = ends;
  bob.ondatachannel = ({ channel }) => { channel.onmessage = ({ data }) => channel.send(data); };
  const channel = alice.createDataChannel('numbers');
  const echoed = [];
  channel.onopen = () => { for (let n = 0; n < messages; n += 1) channel.send(`${n} ${'x'.repeat(n)}`); };
  channel.onmessage = ({ data }) => echoed.push(Number.parseInt(data, 10));
  await alice.setLocalDescription();
  await bob.setRemoteDescription(alice.localDescription);
  await bob.setLocalDescription();
  await alice.setRemoteDescription(bob.localDescription);

  const look = async (end) => {
    const all = [...(await end.getStats()).values()];
    const transport = all.find(({ type }) => type === 'transport');
    const pair = all.find(({ id }) => id === transport?.selectedCandidatePairId);
    const of = (kind) => all.find(({ type, kind: its }) => type === 'inbound-rtp' && its === kind);
    return {
      state: end.connectionState,
      local: all.find(({ id }) => id === pair?.localCandidateId),
      remote: all.find(({ id }) => id === pair?.remoteCandidateId),
      sound: of('audio')?.packetsReceived ?? 0,
      frames: of('video')?.framesDecoded ?? 0,
      lost: (of('audio')?.packetsLost ?? 0) + (of('video')?.packetsLost ?? 0),
    };
  };
  const deadline = performance.now() + 30_000;
  for (;;) {
    const seen = await Promise.all(ends.map(look));
    const enough = echoed.length >= messages && seen.every(({ sound, frames }) => sound >= 100 && frames >= 30);
    if (enough || performance.now() > deadline) {
      for (const end of ends) end.close();
      return { enough, echoed, errors, seen };
    }
    await new Promise((later) => setTimeout(later, 100));
  }
}

try {
  for (const transport of ['udp', 'tcp']) {
    const page = await browser.newPage();
    await page.goto(`http://localhost:${server.address().port}/`);
    const urls = `turn:${relay}?transport=${transport}`;
    const result = await page.evaluate(callOneself, { server: { urls, username, credential }, messages: MESSAGES });
    const story = JSON.stringify(result);
    assert.ok(result.enough, story);
    assert.deepEqual(result.echoed, [...Array(MESSAGES).keys()], 'data comes back whole and in order');
    for (const { state, local, remote, sound, frames, lost } of result.seen) {
      assert.equal(state, 'connected');
      assert.deepEqual([local.candidateType, remote.candidateType, local.relayProtocol], ['relay', 'relay', transport], story);
      console.log(`${transport}: ${sound} packets of sound, ${frames} frames of picture, ${lost} packets lost`);
    }
    await page.close();
  }
  console.log('everything went through the relay');
} finally {
  await browser.close();
  server.close();
}
