"""Makes the speech, and judges what was heard of it: PESQ (ITU-T P.862.2, wideband) of each ten seconds.

    judge.py speech FOLDER           FOLDER/spoken.wav: silence, then six sentences of ten seconds, 48 kHz
    judge.py judge SPOKEN HEARD      prints the mean score
"""
import subprocess
import sys
import wave
from pathlib import Path

import numpy
import pesq

RATE = 48000
PIECE = 10 * RATE
LEAD = 4 * RATE
# The sentences and voices of benches/quality/speech.rs.
SENTENCES = [line.split('"')[1] for line in (Path(__file__).parent / "../quality/speech.rs").read_text().splitlines()
             if line.strip().startswith('"')]


def read(path):
    with wave.open(str(path)) as file:
        rate, samples = file.getframerate(), numpy.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    return rate, samples.astype(numpy.float64) / 32768


def write(path, samples, rate):
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((numpy.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def resampled(samples, rate, to):
    """By the spectrum: exact for what is below half of both rates."""
    count = round(len(samples) * to / rate)
    spectrum = numpy.fft.rfft(samples)
    wanted = numpy.zeros(count // 2 + 1, dtype=complex)
    kept = min(len(spectrum), len(wanted))
    wanted[:kept] = spectrum[:kept]
    return numpy.fft.irfft(wanted, count) * to / rate


def speech(folder):
    parts = [numpy.zeros(LEAD)]
    for number, (voice, words) in enumerate(zip(SENTENCES[::2], SENTENCES[1::2])):
        path = folder / f"sentence-{number}.wav"
        subprocess.run(["espeak-ng", "-v", voice, "-s", "150", "-w", path, words], check=True)
        rate, samples = read(path)
        samples = resampled(samples, rate, RATE)
        piece = numpy.zeros(PIECE)
        samples = samples[: PIECE - RATE // 2] * 0.06 / numpy.sqrt(numpy.mean(samples**2))
        piece[RATE // 2 : RATE // 2 + len(samples)] = samples
        parts.append(piece)
    # A while after the last word, for those who are late.
    write(folder / "spoken.wav", numpy.concatenate([*parts, numpy.zeros(3 * RATE)]), RATE)


def offset(spoken, heard):
    """By how much what was heard is later, by the correlation of the loudness of every 5 ms, then of the samples."""
    step = RATE // 200
    loud = [numpy.sqrt(numpy.mean(x[: len(x) // step * step].reshape(-1, step) ** 2, axis=1)) for x in (spoken, heard)]
    size = len(loud[0]) + len(loud[1])
    both = numpy.fft.irfft(numpy.fft.rfft(loud[1] - loud[1].mean(), size) * numpy.conj(numpy.fft.rfft(loud[0] - loud[0].mean(), size)), size)
    lag = int(numpy.argmax(both))
    return (lag - size if lag > size // 2 else lag) * step


def judge(spoken, heard):
    (_, spoken), (rate, heard) = read(spoken), read(heard)
    if rate != RATE:
        heard = resampled(heard, rate, RATE)
    late = offset(spoken, heard)
    scores = []
    for number in range(len(SENTENCES) // 2):
        begin = LEAD + number * PIECE
        piece = spoken[begin : begin + PIECE]
        # Around where it should be: a jitter buffer that grows is later at the end.
        around = numpy.zeros(PIECE + 2 * RATE)
        start = begin + late - RATE
        part = heard[max(0, start) : start + len(around)]
        around[max(0, -start) : max(0, -start) + len(part)] = part
        shift = max(0, min(2 * RATE, offset(piece, around)))
        pair = [resampled(x, RATE, 16000) for x in (piece, around[shift : shift + PIECE])]
        scores.append(pesq.pesq(16000, *[(x * 32767).astype(numpy.int16) for x in pair], "wb"))
    print(sum(scores) / len(scores))


if sys.argv[1] == "speech":
    speech(Path(sys.argv[2]))
else:
    judge(sys.argv[2], sys.argv[3])
