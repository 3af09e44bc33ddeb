// Serves two reads of the API and its most frequent write with Fastify, node-postgres and BullMQ.
import cluster from "node:cluster";
import { createHash, randomBytes } from "node:crypto";
import { Queue } from "bullmq";
import Fastify from "fastify";
import IORedis from "ioredis";
import pg from "pg";
import { card, newCard, notification, page } from "./schemas.mjs";
import { ADD_CARD, ADD_URL, FOLLOWING, NOTIFICATIONS, PERSON } from "./statements.mjs";

const [port, processes] = [Number(process.argv[2]), Number(process.argv[3])];

if (cluster.isPrimary && processes > 1) {
  for (let number = 0; number < processes; number++) cluster.fork();
} else {
  await serve();
}

async function serve() {
  const pool = new pg.Pool({
    host: process.env.PGHOST, port: Number(process.env.PGPORT), user: process.env.PGUSER,
    database: process.env.PGDATABASE,
  });
  const connection = new IORedis(process.env.REDIS_SOCKET, { maxRetriesPerRequest: null });
  const queues = ["notifications", "feeds"].map((name) => new Queue(name, { connection }));
  const app = Fastify();
  app.decorateRequest("person", null);
  app.addHook("onRequest", async (request, reply) => {
    const [scheme, token] = (request.headers.authorization ?? "").split(" ");
    const digest = createHash("sha512").update(token ?? "").digest("hex");
    const { rows: [person] } = await pool.query({ name: "person", text: PERSON, values: [digest] });
    if (scheme !== "Token" || !person) return reply.code(401).send({ detail: "Log in." });
    request.person = person;
  });
  app.post("/api/v1/cards/", { schema: { body: newCard, response: { 201: card } } }, async (request, reply) => {
    const added = await addCard(pool, request.person, request.body);
    await queues[0].add("card.added", { ids: [added.id] });
    await queues[1].add("card.added", { ids: [added.id] });
    return reply.code(201).send(added);
  });
  const feed = { schema: { response: { 200: page(card) } } };
  app.get("/api/v1/feeds/following/", feed, async (request) => {
    const { rows } = await pool.query({ name: "following", text: FOLLOWING, values: [request.person.id] });
    return paged(rows.map((row) => ({ ...row, curator: curatorOf(row) })));
  });
  const list = { schema: { response: { 200: page(notification) } } };
  app.get("/api/v1/notifications/", list, async (request) => {
    const { rows } = await pool.query({ name: "notifications", text: NOTIFICATIONS, values: [request.person.id] });
    return paged(rows.map((row) => ({ ...row, actor: curatorOf(row), card: cardOf(row) })));
  });
  await app.listen({ host: "127.0.0.1", port });
}

async function addCard(pool, person, { type, url, title = "", text = "", visibility = "PUBLIC" }) {
  const page = new URL(url);
  page.hash = "";
  const [id, now] = [uuid7(), new Date()];
  const client = await pool.connect();
  try {
    await client.query("BEGIN");
    const { rows: [{ id: page_id }] } = await client.query(
      { name: "url", text: ADD_URL, values: [page.href, page.hostname, now] });
    await client.query({
      name: "card", text: ADD_CARD,
      values: [id, person.id, type, page_id, url, title, text, visibility, now],
    });
    await client.query("COMMIT");
  } catch (error) {
    await client.query("ROLLBACK");
    throw error;
  } finally {
    client.release();
  }
  return {
    id, type, url, canonical_url: page.href, title, text, visibility, curator: person,
    created_at: now, updated_at: now,
  };
}

function paged(rows) {
  const results = rows.slice(0, 50);
  return { next: rows.length > 50 ? `?cursor=${results.at(-1).id}` : null, previous: null, results };
}

const curatorOf = ({ username, display_name }) => ({ username, display_name });
const cardOf = ({ card_id, card_type, title, link }) =>
  card_id && { id: card_id, type: card_type, title, url: link };

function uuid7() {
  const bytes = randomBytes(16);
  bytes.writeUIntBE(Date.now(), 0, 6);
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = bytes.toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}
