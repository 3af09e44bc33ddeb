// Writes the notifications or feed entries of all cards of a job with one statement.
import pg from "pg";

const STATEMENTS = {
  notifications: `
    INSERT INTO notifications_notification
      (recipient_id, event_id, kind, actor_id, card_id, created_at)
    SELECT follow.follower_id, card.id, 'CARD_ADDED', card.curator_id, card.id, now()
    FROM cards_card card JOIN accounts_follow follow ON follow.followed_id = card.curator_id
    WHERE card.id = ANY($1::uuid[])
    ORDER BY 1, 2 ON CONFLICT DO NOTHING`,
  feeds: `
    INSERT INTO feeds_timelineentry (owner_id, card_id, author_id)
    SELECT follow.follower_id, card.id, card.curator_id
    FROM cards_card card JOIN accounts_follow follow ON follow.followed_id = card.curator_id
    WHERE card.id = ANY($1::uuid[])
    ORDER BY 1, 2 ON CONFLICT DO NOTHING`,
};

export function pool(max) {
  return new pg.Pool({
    host: process.env.PGHOST, port: Number(process.env.PGPORT), user: process.env.PGUSER,
    database: process.env.PGDATABASE, max,
  });
}

export function effects(queue, connections) {
  const connected = pool(connections);
  return (ids) => connected.query({ name: queue, text: STATEMENTS[queue], values: [ids] });
}
