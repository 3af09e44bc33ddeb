export const PERSON = `
  SELECT person.id, person.username, person.display_name
  FROM knox_authtoken token JOIN accounts_user person ON person.id = token.user_id
  WHERE token.digest = $1 AND (token.expiry IS NULL OR token.expiry > now()) AND person.is_active`;

// An update that changes nothing, so that RETURNING also yields the row of a known page.
export const ADD_URL = `
  INSERT INTO pages_url (canonical, host, created_at) VALUES ($1, $2, $3)
  ON CONFLICT (canonical) DO UPDATE SET canonical = EXCLUDED.canonical
  RETURNING id`;

export const ADD_CARD = `
  INSERT INTO cards_card (id, curator_id, type, url_id, link, title, text, reference, visibility,
                          created_at, updated_at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, '{}', $8, $9, $9)`;

export const FOLLOWING = `
  SELECT card.id, card.type, card.link AS url, page.canonical AS canonical_url, card.title,
         card.text, card.visibility, card.created_at, card.updated_at,
         person.username, person.display_name
  FROM feeds_timelineentry entry
  JOIN cards_card card ON card.id = entry.card_id AND card.visibility = 'PUBLIC'
  JOIN accounts_follow follow
    ON follow.follower_id = entry.owner_id AND follow.followed_id = card.curator_id
  JOIN accounts_user person ON person.id = card.curator_id
  LEFT JOIN pages_url page ON page.id = card.url_id
  WHERE entry.owner_id = $1
  ORDER BY entry.card_id DESC LIMIT 51`;

export const NOTIFICATIONS = `
  SELECT notification.event_id AS id, notification.kind, notification.created_at,
         notification.read_at IS NOT NULL AS read,
         person.username, person.display_name,
         card.id AS card_id, card.type AS card_type, card.title, card.link,
         person.username || ' ' || notification.kind || ': ' || coalesce(card.title, '') AS text
  FROM notifications_notification notification
  JOIN accounts_user person ON person.id = notification.actor_id AND person.is_active
  LEFT JOIN cards_card card ON card.id = notification.card_id
  WHERE notification.recipient_id = $1
    AND (notification.card_id IS NULL OR card.visibility = 'PUBLIC' OR card.curator_id = $1)
  ORDER BY notification.event_id DESC LIMIT 51`;
