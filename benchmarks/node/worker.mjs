// A BullMQ worker process for one queue.
import { Worker } from "bullmq";
import IORedis from "ioredis";
import { effects } from "./effects.mjs";

const [queue, concurrency] = [process.argv[2], Number(process.argv[3])];
const connection = new IORedis(process.env.REDIS_SOCKET, { maxRetriesPerRequest: null });
const write = effects(queue, concurrency);

const worker = new Worker(queue, (job) => write(job.data.ids).then(() => undefined), {
  connection, concurrency, removeOnComplete: { count: 1000 },
});
worker.on("failed", (_, error) => console.error(error));
await worker.waitUntilReady();
console.log("ready");
