// Sends requests, at a fixed rate or as fast as responses come, and prints the figures.
//
// Uses undici, because autocannon doesn't fit: it sends each second's requests in one burst, and
// drops open requests at the end, so that the expected number of rows would be unknown.
import { readFileSync } from "node:fs";
import { performance } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import { Client } from "undici";

const plan = JSON.parse(readFileSync(process.argv[2], "utf8"));
const clients = Array.from({ length: plan.connections }, () => new Client(plan.origin));
const took = [];
const refused = [];
let answered = 0;
let sent = 0;

// Every card has a page of its own.
const card = (number, place = 0) => ({
  type: "URL",
  url: `https://www.journal-${number % 97}.example.org/${plan.name}/articles/${number}-${place}?volume=7`,
  title: `On the measurement of ${number}`,
  text: "What it says, and why it was worth keeping. ".repeat(4),
});
const bodies = {
  card: (number) => card(number),
  cards: (number) => ({ cards: Array.from({ length: plan.cards }, (_, place) => card(number, place)) }),
};

function request(number) {
  const headers = { authorization: `Token ${plan.tokens[number % plan.tokens.length]}` };
  const makeBody = bodies[plan.body];
  if (!makeBody) return { path: plan.path, method: "GET", headers };
  headers["content-type"] = "application/json";
  headers["idempotency-key"] = `${plan.name}-${number}`;
  return { path: plan.path, method: "POST", headers, body: JSON.stringify(makeBody(number)) };
}

async function send(client) {
  const wanted = request(sent++);
  const began = performance.now();
  try {
    const { statusCode, body } = await client.request(wanted);
    const text = await body.text();
    took.push(performance.now() - began);
    if (statusCode === plan.status) answered += 1;
    else refused.push(`${statusCode} ${text}`);
  } catch (error) {
    refused.push(String(error));
  }
}

// Each connection sends its next request after the last response.
const unbounded = (until) =>
  Promise.all(clients.map(async (client) => {
    while (performance.now() < until) await send(client);
  }));

// Each request is sent when it is due, even if earlier ones are still open; connections take turns.
async function paced(began, until) {
  const open = [];
  for (let number = 0; ; number++) {
    const due = began + (number * 1000) / plan.rate;
    if (due >= until) break;
    if (due > performance.now()) await setTimeout(due - performance.now());
    open.push(send(clients[number % clients.length]));
  }
  await Promise.all(open);
}

function quantile(share) {
  return took.length ? took[Math.min(took.length - 1, Math.floor(took.length * share))] : null;
}

const [began, used] = [performance.now(), process.cpuUsage()];
const until = began + plan.seconds * 1000;
await (plan.rate ? paced(began, until) : unbounded(until));
const seconds = (performance.now() - began) / 1000;
const { user, system } = process.cpuUsage(used);
took.sort((one, other) => one - other);
console.log(JSON.stringify({
  answered, errors: refused.length, example: refused[0] ?? null, seconds,
  rate: answered / seconds, p50_ms: quantile(0.5), p99_ms: quantile(0.99),
  cpu: (user + system) / 1e6,
}));
await Promise.all(clients.map((client) => client.close()));
