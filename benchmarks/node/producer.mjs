// Reads orders as lines of JSON, and adds cards in the way that each order names.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { Queue } from "bullmq";
import IORedis from "ioredis";
import { pool } from "./effects.mjs";

const PRODUCERS = 15;
const BULK = 500;
const connection = new IORedis(process.env.REDIS_SOCKET, { maxRetriesPerRequest: null });
const queues = ["notifications", "feeds"].map((name) => new Queue(name, { connection }));
const database = pool(8);
const INSERT = {
  name: "card",
  text: `INSERT INTO cards_card (id, curator_id, type, link, title, text, reference, visibility,
                                 created_at, updated_at)
         VALUES ($1, $2, 'NOTE', '', '', 'a note', '{}', 'PUBLIC', now(), now())`,
};

const job = (cards) => ({ name: "card.added", data: { ids: cards.map(([id]) => id) } });
const addToBoth = ({ name, data }) => Promise.all(queues.map((queue) => queue.add(name, data)));
const addAllToBoth = (jobs) => Promise.all(queues.map((queue) => queue.addBulk(jobs)));

// Processes cards with `loops` concurrent loops; with a rate, each card at its due time.
async function produce(cards, loops, rate, one) {
  const began = performance.now() + 10;
  let next = 0;
  const loop = async () => {
    while (next < cards.length) {
      const number = next++;
      if (rate) {
        const wait = began + (1000 * number) / rate - performance.now();
        if (wait > 0) await sleep(wait);
      }
      await one(cards[number]);
    }
  };
  await Promise.all(Array.from({ length: loops }, loop));
}

const ways = {
  // Each card is committed, then added as a job to each queue.
  write: (cards, { writers, rate }) =>
    produce(cards, writers, rate, async ([id, curator]) => {
      await database.query({ ...INSERT, values: [id, curator] });
      await addToBoth(job([[id]]));
    }),
  // One job per event and queue, added by many producers at once.
  add: (cards) => produce(cards, PRODUCERS, 0, (card) => addToBoth(job([card]))),
  async addBulk(cards) {
    for (let at = 0; at < cards.length; at += BULK) {
      await addAllToBoth(cards.slice(at, at + BULK).map((card) => job([card])));
    }
  },
  // Bulk work that other jobs overtake: BullMQ serves jobs without a priority first.
  async flood(cards) {
    for (let at = 0; at < cards.length; at += BULK) {
      const jobs = cards.slice(at, at + BULK).map((card) => job([card]));
      await addAllToBoth(jobs.map((each) => ({ ...each, opts: { priority: 10 } })));
    }
  },
  // Batches made by hand: 100 events per job.
  async "batches of 100"(cards) {
    const jobs = [];
    for (let at = 0; at < cards.length; at += 100) jobs.push(job(cards.slice(at, at + 100)));
    await addAllToBoth(jobs);
  },
};

await Promise.all(queues.map((queue) => queue.waitUntilReady()));
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line);
  await ways[order.way](JSON.parse(readFileSync(order.file, "utf8")), order);
  console.log("done");
}
