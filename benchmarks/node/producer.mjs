// Enqueues cards, in one of three ways, when it is told to.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Queue } from "bullmq";
import IORedis from "ioredis";

const PRODUCERS = 15;
const BULK = 500;
const connection = new IORedis(process.env.REDIS_SOCKET, { maxRetriesPerRequest: null });
const queues = ["notifications", "feeds"].map((name) => new Queue(name, { connection }));

const ways = {
  // Each event a job in each queue, by many producers at once.
  async add(ids) {
    let next = 0;
    const produce = async () => {
      while (next < ids.length) {
        const id = ids[next++];
        await Promise.all(queues.map((queue) => queue.add("card.added", { ids: [id] })));
      }
    };
    await Promise.all(Array.from({ length: PRODUCERS }, produce));
  },
  async bulk(ids) {
    for (let at = 0; at < ids.length; at += BULK) {
      const jobs = ids.slice(at, at + BULK).map((id) => ({ name: "card.added", data: { ids: [id] } }));
      await Promise.all(queues.map((queue) => queue.addBulk(jobs)));
    }
  },
  // Hand-made batches: 100 events a job.
  async batches(ids) {
    const jobs = [];
    for (let at = 0; at < ids.length; at += 100) {
      jobs.push({ name: "card.added", data: { ids: ids.slice(at, at + 100) } });
    }
    await Promise.all(queues.map((queue) => queue.addBulk(jobs)));
  },
};

await Promise.all(queues.map((queue) => queue.waitUntilReady()));
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
  const [way, file] = line.split(" ");
  await ways[way](JSON.parse(readFileSync(file, "utf8")));
  console.log("enqueued");
}
