// A network between two ends on one machine: each takes one of its two sockets for the other end. It loses and
// delays what the speaker sends of RTP, by a schedule that is the same every time: the n-th packet is lost, or late
// by so much, whoever sends it. RTCP, STUN and DTLS pass.

import { createSocket } from 'node:dgram';

/** The generator of benches/quality/random.rs. */
export function random(seed) {
  const mask = (1n << 64n) - 1n;
  let state = (BigInt(seed) * 0x9E3779B97F4A7C15n) & mask;
  const next = () => {
    state = (state * 6364136223846793005n + 1442695040888963407n) & mask;
    return Number(state >> 11n) / 2 ** 53;
  };
  next();
  return next;
}

/** For each of `count` packets: its delay, ms; undefined where it is lost. */
export function schedule({ loss = 0, burst = 0, jitter = 0 }, count, seed) {
  const next = random(seed);
  let bad = false;
  const arrives = () => {
    if (!burst) return next() >= loss;
    // Gilbert's model: a good state and a bad one, in which all is lost.
    const recover = 1 / burst;
    bad = bad ? next() >= recover : next() < recover * loss / (1 - loss);
    return !bad;
  };
  const lost = Array.from({ length: count }, () => !arrives());
  const normal = () => Array.from({ length: 12 }, next).reduce((sum, part) => sum + part) - 6;
  // Four deviations of way, so that hardly one would have to come before it was sent.
  return lost.map((lost) => (lost ? undefined : Math.max(0, jitter * (4 + normal()))));
}

const isRtp = (packet) => packet.length > 12 && packet[0] >> 6 === 2 && ((packet[1] & 0x7f) < 64 || (packet[1] & 0x7f) > 95);

async function bound(address) {
  const socket = createSocket('udp4');
  await new Promise((done) => socket.bind(0, address, done));
  return socket;
}

export class Forwarder {
  static async start(address, delays) {
    const forwarder = new Forwarder();
    // The speaker sends to `near` and hears from it; the listener to `far`.
    [forwarder.near, forwarder.far] = [await bound(address), await bound(address)];
    Object.assign(forwarder, { address, delays, packets: 0, lost: 0, bytes: 0, speaker: undefined, listener: undefined });
    forwarder.near.on('message', (packet, from) => forwarder.spoken(packet, from));
    forwarder.far.on('message', (packet, from) => {
      forwarder.listener = from;
      forwarder.send(forwarder.near, packet, forwarder.speaker);
    });
    return forwarder;
  }

  spoken(packet, from) {
    this.speaker = from;
    if (!isRtp(packet)) return this.send(this.far, packet, this.listener);
    const delay = this.delays[this.packets % this.delays.length];
    this.packets += 1;
    this.bytes += packet.length;
    if (delay === undefined) { this.lost += 1; return undefined; }
    if (delay === 0) return this.send(this.far, packet, this.listener);
    return setTimeout(() => this.send(this.far, packet, this.listener), delay);
  }

  send(socket, packet, to) {
    if (to && !this.closed) socket.send(packet, to.port, to.address);
  }

  /** A description whose only candidate is this socket. */
  behind(sdp, socket) {
    let told = false;
    const lines = sdp.split(/\r?\n/).filter((line) => line).flatMap((line) => {
      if (!line.startsWith('a=candidate:')) return [line];
      const words = line.split(' ');
      if (told || words[1] !== '1' || words[2].toLowerCase() !== 'udp' || words[7] !== 'host') return [];
      told = true;
      return [[...words.slice(0, 4), this.address, socket.address().port, 'typ', 'host'].join(' ')];
    });
    return `${lines.join('\r\n')}\r\n`;
  }

  close() {
    this.closed = true;
    this.near.close();
    this.far.close();
  }
}
