// Workers, the pool for cryptography and compression, and timers, all at once; what they find is printed in order.
'use strict';
const crypto = require('node:crypto');
const { promisify } = require('node:util');
const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const zlib = require('node:zlib');

const WORKERS = 3;
const STEPS = 30;

// Something for the compiler: objects, closures, strings, and garbage.
function compute(seed) {
  const table = new Map();
  let state = seed;
  for (let i = 0; i < 12000; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    const key = (state >>> 20).toString(36);
    const entry = table.get(key) ?? { count: 0, last: [] };
    entry.count++;
    entry.last = [...entry.last.slice(-3), i];
    table.set(key, entry);
  }
  let text = '';
  for (const [key, { count, last }] of [...table].sort().slice(0, 50)) text += `${key}:${count}:${last};`;
  return crypto.createHash('sha256').update(text).digest('hex');
}

if (!isMainThread) {
  const turn = new Int32Array(workerData.turn);
  parentPort.on('message', (step) => {
    const result = compute(step * WORKERS + workerData.number + 1);
    // Each waits for the one before, outside of the event loop.
    for (let now; (now = Atomics.load(turn, 0)) !== workerData.number; ) Atomics.wait(turn, 0, now, 1000);
    Atomics.store(turn, 0, (workerData.number + 1) % WORKERS);
    Atomics.notify(turn, 0);
    parentPort.postMessage(result);
  });
  return;
}

async function main() {
  const turn = new SharedArrayBuffer(4);
  const workers = [];
  for (let number = 0; number < WORKERS; number++) workers.push(new Worker(__filename, { workerData: { number, turn } }));
  const ask = (worker, step) =>
    new Promise((resolve) => {
      worker.once('message', resolve);
      worker.postMessage(step);
    });
  const [pbkdf2, scrypt, deflate] = [crypto.pbkdf2, crypto.scrypt, zlib.deflate].map((call) => promisify(call));
  const sleep = promisify(setTimeout);
  let ticks = 0;
  const ticking = setInterval(() => ticks++, 3);
  for (let step = 0; step < STEPS; step++) {
    const [found, key, other, packed] = await Promise.all([
      Promise.all(workers.map((worker) => ask(worker, step))),
      pbkdf2(`password ${step}`, 'salt', 4000, 32, 'sha256'),
      scrypt(`password ${step}`, 'salt', 32, { N: 1024 }),
      deflate(Buffer.alloc(200000, `step ${step},`)),
      sleep(2),
    ]);
    console.log(step, ...found, key.toString('hex'), other.toString('hex'), packed.length);
  }
  clearInterval(ticking);
  await Promise.all(workers.map((worker) => worker.terminate()));
  console.log(ticks > 0 ? 'the timer ticked' : 'the timer did not tick');
}

main();
