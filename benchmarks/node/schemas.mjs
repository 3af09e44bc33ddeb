// The schemas by which Fastify validates requests and serializes responses.
const text = { type: "string" };
const orNull = { type: ["string", "null"] };
const time = { type: "string", format: "date-time" };
const person = { type: "object", properties: { username: text, display_name: text } };

export const newCard = {
  type: "object",
  required: ["type", "url"],
  properties: {
    type: { type: "string", enum: ["URL"] },
    url: { type: "string", format: "uri", maxLength: 2048 },
    title: { type: "string", maxLength: 500 },
    text: { type: "string", maxLength: 20000 },
    visibility: { type: "string", enum: ["PUBLIC", "PRIVATE"] },
  },
};

export const card = {
  type: "object",
  properties: {
    id: text, type: text, url: text, canonical_url: orNull, title: text, text, visibility: text,
    curator: person, created_at: time, updated_at: time,
  },
};

export const notification = {
  type: "object",
  properties: {
    id: text, kind: text, text, actor: person, created_at: time, read: { type: "boolean" },
    card: {
      type: ["object", "null"], properties: { id: text, type: text, title: text, url: text },
    },
  },
};

export const page = (item) => ({
  type: "object",
  properties: { next: orNull, previous: orNull, results: { type: "array", items: item } },
});
